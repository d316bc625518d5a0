//! What can be edited of a storage authorization: what people call it, and its secret.

use std::sync::Arc;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use secrecy::SecretString;

use super::{Storage, StorageAuthorization, StorageAuthorizations};
use crate::Error;
use crate::record::{self, Resource, State};
use crate::sealing::Sealer;

/// What is to be different; what is `None` stays. The secret is rotated instead.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageSettings {
    /// For people; unique in the account.
    pub label: Option<String>,
    /// For people.
    pub description: Option<String>,
}

/// A secret that takes another's place.
#[derive(Debug)]
pub struct StorageSecret {
    /// Sealed before it is stored.
    pub secret: SecretString,
    /// Of S3: the access key that it belongs to. `None`: that stays.
    pub access_key_id: Option<String>,
}

/// No other storage authorization of the account has its label.
pub(super) fn must_be_free(state: &impl State, wanted: &StorageAuthorization) -> Result<(), Error> {
    let siblings = name::format_child(wanted.account, name::STORAGE_AUTHORIZATIONS, "");
    let mut others = record::all::<StorageAuthorization>(state, &siblings);
    match others.find(|(_, other)| other.label == wanted.label && other.id != wanted.id) {
        None => Ok(()),
        Some((name, other)) => Err(Error::AlreadyExists(format!(
            "{name} has the label \"{}\" already",
            other.label
        ))),
    }
}

pub(super) fn decide_update(
    state: &impl State,
    name: &str,
    edit: &StorageSettings,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, StorageAuthorization), Error> {
    let known: StorageAuthorization = record::fetch(state, name)?;
    record::check_revision(name, Some(known.revision), based_on)?;
    let edit = edit.clone();
    let updated = StorageAuthorization {
        label: edit.label.unwrap_or(known.label),
        description: edit.description.unwrap_or(known.description),
        update_time: now,
        ..known
    };
    must_be_free(state, &updated)?;
    Ok((vec![updated.put()], updated))
}

/// The same authorization with another secret, under the next revision of it, and perhaps with another access key.
pub(super) fn decide_rotate(
    state: &impl State,
    name: &str,
    sealer: &Sealer,
    new: &StorageSecret,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, StorageAuthorization), Error> {
    let known: StorageAuthorization = record::fetch(state, name)?;
    record::check_revision(name, Some(known.revision), based_on)?;
    let Some(sealed) = &known.sealed else {
        return Err(Error::FailedPrecondition(format!("{name} has no secret")));
    };
    let sealed = sealer.seal(name, sealed.secret_revision + 1, &new.secret)?;
    let rotated = StorageAuthorization {
        sealed: Some(sealed),
        storage: known.storage.with_access_key(new.access_key_id.as_deref()),
        update_time: now,
        ..known
    };
    Ok((vec![rotated.put()], rotated))
}

impl Storage {
    /// The same with another access key, if one is given and there is one.
    #[must_use]
    pub fn with_access_key(&self, key_id: Option<&str>) -> Self {
        let mut storage = self.clone();
        if let (Self::S3 { access_key_id, .. }, Some(key_id)) = (&mut storage, key_id) {
            key_id.clone_into(access_key_id);
        }
        storage
    }
}

impl StorageAuthorizations<'_> {
    /// Changes label and description.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AlreadyExists`] for the label; [`Error::Stale`] when it is at another revision than `based_on`.
    pub async fn update(
        &self,
        account: AccountNumber,
        id: &str,
        edit: StorageSettings,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<StorageAuthorization, Error> {
        let name = name::format_child(account, name::STORAGE_AUTHORIZATIONS, id);
        let decide = move |view: &kafka::View| decide_update(view, &name, &edit, based_on, now);
        let (updated, revision) = self.0.mutate(decide).await?;
        Ok(StorageAuthorization { revision, ..updated })
    }

    /// Replaces the secret, and of S3 the access key that it belongs to, if one is given.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`; [`Error::FailedPrecondition`] when it has
    /// no secret.
    pub async fn rotate_secret(
        &self,
        account: AccountNumber,
        id: &str,
        new: StorageSecret,
        sealer: &Arc<Sealer>,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<StorageAuthorization, Error> {
        let name = name::format_child(account, name::STORAGE_AUTHORIZATIONS, id);
        let sealer = Arc::clone(sealer);
        let decide = move |view: &kafka::View| decide_rotate(view, &name, &sealer, &new, based_on, now);
        let (rotated, revision) = self.0.mutate(decide).await?;
        Ok(StorageAuthorization { revision, ..rotated })
    }
}
