use secrecy::SecretString;
use serde::Deserialize;

use crate::address::Network;
use crate::token::admin_token_problem;

/// Section `auth` of a service's configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// The first admin token of the installation: may do everything in every account, and is the only one that may create
    /// accounts. At least 16 characters. Unset: only tokens of the control table.
    pub admin_token: Option<SecretString>,
    /// Proxies and load balancers in front, as addresses and networks, such as `["10.0.0.0/8"]`: what they put into
    /// `X-Forwarded-For` counts as where a request comes from. Only tokens with allowed sources ask for it. Default: none, the
    /// address of the connection counts.
    pub trusted_proxies: Vec<Network>,
}

impl Auth {
    /// What is wrong with `auth.admin_token`; `None` if nothing is.
    pub fn problem(&self) -> Option<&'static str> {
        self.admin_token.as_ref().and_then(admin_token_problem)
    }
}
