use secrecy::SecretString;
use serde::Deserialize;

use crate::token::admin_token_problem;

/// Section `auth` of a service's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The first admin token of the installation: may do everything in every account, and is the only one that may create
    /// accounts. At least 16 characters. Unset: only tokens of the control table.
    pub admin_token: Option<SecretString>,
}

impl Auth {
    /// What is wrong with `auth.admin_token`; `None` if nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        self.admin_token.as_ref().and_then(admin_token_problem)
    }
}
