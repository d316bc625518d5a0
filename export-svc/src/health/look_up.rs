//! Asking Braze about a user with the key of an authorization.

use braze::{Identifier, User};
use control::Authorization;

use super::uses::LOOKUPS;
use super::{ANSWER_MAX, Health, credential};

impl Health {
    /// A user of Braze, with what one attribute holds; `None` if there is no such user.
    ///
    /// # Errors
    /// Why that is not known, for people.
    pub(crate) async fn look_up(
        &self,
        authorization: &Authorization,
        identifier: &Identifier,
        attribute: &str,
    ) -> Result<Option<User>, String> {
        let credential = credential(authorization, &self.0.sealer)?;
        let asked = self
            .0
            .client
            .user(&credential.endpoint, &credential.key, identifier, attribute);
        let answered = tokio::time::timeout(ANSWER_MAX, asked).await;
        let answered = answered.map_err(|_| format!("Braze gives no answer within {ANSWER_MAX:?}"))?;
        answered.map_err(|error| match error.status {
            Some(status @ (401 | 403)) => {
                let permission = LOOKUPS.permission;
                format!("status {status}: {error}; looking users up needs a key with the permission {permission}")
            }
            Some(status) => format!("status {status}: {error}"),
            None => format!("Braze cannot be reached: {error}"),
        })
    }
}
