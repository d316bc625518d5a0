//! Storage authorizations: sealed credentials for object storage.

mod edit;
mod kind;
#[cfg(test)]
pub(crate) mod tests;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::{ControlRecord, SealedSecret, StoredStorageAuthorization, control_record};
use proto::imports::v1 as wire;
use secrecy::SecretString;

use self::edit::must_be_free;
pub use self::edit::{StorageSecret, StorageSettings};
pub use self::kind::Storage;
use crate::account::must_exist;
use crate::record::{self, Resource, State};
use crate::sealing::{self, Sealer};
use crate::{Directory, Error, Listed, Page, id, import_job};

/// A credential for one place in object storage. The secret is inside, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageAuthorization {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// What it opens.
    pub storage: Storage,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last edited.
    pub update_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
    sealed: Option<SealedSecret>,
}

/// A storage authorization to be created.
#[derive(Debug)]
pub struct NewStorageAuthorization {
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// What it opens.
    pub storage: Storage,
    /// Sealed before it is stored. `None`: there is none, as of a folder.
    pub secret: Option<SecretString>,
}

impl StorageAuthorization {
    /// `accounts/{number}/storageAuthorizations/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::STORAGE_AUTHORIZATIONS, &self.id)
    }

    /// Whether it has a secret.
    pub fn has_secret(&self) -> bool {
        self.sealed.is_some()
    }

    /// The secret in the clear. `None`: it has none.
    ///
    /// # Errors
    /// When the key that sealed it is not configured, or the record was tampered with.
    pub fn secret(&self, sealer: &Sealer) -> Result<Option<SecretString>, sealing::Error> {
        let sealed = self.sealed.as_ref();
        sealed.map(|sealed| sealer.open(&self.name(), sealed)).transpose()
    }

    /// As the contracts write it, without the secret.
    pub fn to_wire(&self) -> wire::StorageAuthorization {
        wire::StorageAuthorization {
            name: self.name(),
            label: self.label.clone(),
            description: self.description.clone(),
            storage: Some(self.storage.to_wire()),
            create_time: Some(model::time::to_wire(self.create_time)),
            update_time: Some(model::time::to_wire(self.update_time)),
            revision: self.revision,
        }
    }
}

impl Resource for StorageAuthorization {
    const KIND: &'static str = "storageAuthorization/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let storage_authorization = Some(wire::StorageAuthorization {
            revision: 0,
            ..self.to_wire()
        });
        let stored = StoredStorageAuthorization {
            storage_authorization,
            secret: self.sealed.clone(),
        };
        ControlRecord {
            resource: Some(control_record::Resource::StorageAuthorization(stored)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::StorageAuthorization(stored) = record.resource? else {
            return None;
        };
        let authorization = stored.storage_authorization?;
        let (account, id) = name::child(&authorization.name, name::STORAGE_AUTHORIZATIONS).ok()?;
        Some(Self {
            account,
            id: id.to_owned(),
            create_time: model::time::from_wire(&authorization.create_time?)?,
            update_time: model::time::from_wire(&authorization.update_time?)?,
            storage: Storage::from_wire(authorization.storage?),
            label: authorization.label,
            description: authorization.description,
            revision,
            sealed: stored.secret,
        })
    }
}

fn decide_create(state: &impl State, wanted: &StorageAuthorization) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, wanted.account)?;
    must_be_free(state, wanted)?;
    Ok((vec![wanted.put()], ()))
}

fn decide_delete(
    state: &impl State,
    account: AccountNumber,
    name: &str,
    based_on: Option<u64>,
) -> Result<(Vec<Change>, ()), Error> {
    let leaving: StorageAuthorization = record::fetch(state, name)?;
    record::check_revision(name, Some(leaving.revision), based_on)?;
    let users = import_job::users(state, account, name);
    if !users.is_empty() {
        return Err(Error::FailedPrecondition(format!(
            "{name} is used by {}; delete or kill them first",
            users.join(", ")
        )));
    }
    Ok((vec![record::delete::<StorageAuthorization>(name)], ()))
}

/// The storage authorizations of a [`Directory`].
pub struct StorageAuthorizations<'a>(pub(crate) &'a Directory);

impl StorageAuthorizations<'_> {
    /// Seals the secret, if there is one, and creates the authorization.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the account; [`Error::AlreadyExists`] for the label; [`Error::FailedPrecondition`] when there is nothing to
    /// seal the secret with.
    pub async fn create(
        &self,
        account: AccountNumber,
        new: NewStorageAuthorization,
        sealer: Option<&Sealer>,
        now: Timestamp,
    ) -> Result<StorageAuthorization, Error> {
        let mut created = build(account, new, sealer, now)?;
        let wanted = created.clone();
        created.revision = self.0.mutate(move |view| decide_create(view, &wanted)).await?.1;
        Ok(created)
    }

    /// The authorization of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<StorageAuthorization, Error> {
        self.0
            .fetch(&name::format_child(account, name::STORAGE_AUTHORIZATIONS, id))
    }

    /// A page of the account's storage authorizations, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<StorageAuthorization>, Error> {
        self.0.list_children(account, name::STORAGE_AUTHORIZATIONS, page)
    }

    /// The storage authorizations of every account.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn all(&self) -> Result<Vec<StorageAuthorization>, Error> {
        self.0.all("accounts/")
    }

    /// Deletes an authorization and the secret in it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`; [`Error::FailedPrecondition`] while
    /// import jobs that are not killed use it, naming them.
    pub async fn delete(&self, account: AccountNumber, id: &str, based_on: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::STORAGE_AUTHORIZATIONS, id);
        let decide = move |view: &kafka::View| decide_delete(view, account, &name, based_on);
        self.0.mutate(decide).await.map(|_| ())
    }
}

fn build(
    account: AccountNumber,
    new: NewStorageAuthorization,
    sealer: Option<&Sealer>,
    now: Timestamp,
) -> Result<StorageAuthorization, Error> {
    let id = id::new_id(now);
    let name = name::format_child(account, name::STORAGE_AUTHORIZATIONS, &id);
    let sealed = match (new.secret, sealer) {
        (None, _) => None,
        (Some(secret), Some(sealer)) => Some(sealer.seal(&name, 1, &secret)?),
        (Some(_), None) => {
            return Err(Error::FailedPrecondition(
                "there is no key to seal the secret with: set secrets.keys".to_owned(),
            ));
        }
    };
    Ok(StorageAuthorization {
        account,
        id,
        label: new.label,
        description: new.description,
        storage: new.storage,
        create_time: now,
        update_time: now,
        revision: 0,
        sealed,
    })
}
