//! Whether a storage can be listed.

use std::time::Duration;

use control::Storage;
use runtime::grpc::status;
use secrecy::SecretString;
use tokio::time::timeout;
use tonic::Status;

use crate::config::Imports;

/// How long the storage may take to list.
const LIST_MAX: Duration = Duration::from_secs(10);
/// When to try again.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Why it cannot be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// It does not answer, or not in time.
    #[error("the storage does not answer: {0}")]
    Away(String),
    /// It says so.
    #[error("the storage cannot be listed: {0}")]
    Refused(String),
}

impl From<Trouble> for Status {
    fn from(trouble: Trouble) -> Self {
        let message = trouble.to_string();
        match trouble {
            Trouble::Away(_) => status::unavailable(message, RETRY_AFTER),
            Trouble::Refused(_) => status::failed_precondition(message),
        }
    }
}

/// Lists the beginning of a storage.
pub(super) async fn list(storage: &Storage, secret: Option<SecretString>, imports: &Imports) -> Result<(), Trouble> {
    let listed = timeout(LIST_MAX, first(storage, secret, imports)).await;
    listed.unwrap_or_else(|_| Err(Trouble::Away(format!("no answer within {LIST_MAX:?}"))))
}

async fn first(storage: &Storage, _secret: Option<SecretString>, imports: &Imports) -> Result<(), Trouble> {
    let (Storage::Folder { path }, Some(folder)) = (storage, &imports.folder) else {
        return Err(Trouble::Away("it cannot be asked yet".to_owned()));
    };
    let listed = tokio::fs::read_dir(folder.join(path)).await;
    listed.map(drop).map_err(|error| Trouble::Refused(error.to_string()))
}
