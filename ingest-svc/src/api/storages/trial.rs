//! Whether a storage can be listed.

use std::time::Duration;

use control::Storage;
use runtime::grpc::status;
use secrecy::SecretString;
use tonic::Status;

use crate::config::Imports;
use crate::store::{Error, Store};

/// When to try again a storage that does not answer.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Lists the beginning of a storage.
///
/// # Errors
/// As of [`Store::try_it`].
pub(super) async fn list(storage: &Storage, secret: Option<SecretString>, imports: &Imports) -> Result<(), Error> {
    Store::open(storage, secret, imports)?.try_it().await
}

/// What a call is answered whose storage cannot be listed.
pub(super) fn refused(error: &Error) -> Status {
    let message = format!("the storage was tried: {error}");
    if error.is_temporary() {
        status::unavailable(message, RETRY_AFTER)
    } else {
        status::failed_precondition(message)
    }
}
