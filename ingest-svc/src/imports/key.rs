//! The key of an authorization for Braze.

use braze::Url;
use control::Directory;
use control::sealing::Sealer;
use model::name;
use secrecy::SecretString;

/// What Braze is called with.
#[derive(Debug)]
pub(super) struct Key {
    /// The instance of the authorization.
    pub(super) base: Url,
    pub(super) key: SecretString,
}

/// The key of an authorization, by its name; or why there is none, for people.
pub(super) fn key(directory: &Directory, sealer: &Sealer, authorization: &str) -> Result<Key, String> {
    let (account, id) = name::child(authorization, name::AUTHORIZATIONS).map_err(|error| error.to_string())?;
    let authorization = directory.authorizations().get(account, id);
    let authorization = authorization.map_err(|error| error.to_string())?;
    let key = authorization.rest_api_key(sealer).map_err(|error| error.to_string())?;
    let base = braze::endpoint(&authorization.instance).map_err(|error| error.to_string())?;
    Ok(Key { base, key })
}
