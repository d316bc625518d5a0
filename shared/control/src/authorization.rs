//! Authorizations: sealed credentials for Braze.

mod edit;
#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::authorization::v1 as wire;
use proto::control::v1::{ControlRecord, SealedSecret, StoredAuthorization, control_record};
use secrecy::SecretString;

pub use self::edit::{AuthorizationSettings, Budget};
use self::edit::{decide_update, must_be_free};
use crate::account::must_exist;
use crate::export_job::{ExportJob, Removed};
use crate::record::{self, Resource, State};
use crate::sealing::{self, Sealer};
use crate::{Directory, Error, Listed, Page, id, import_job, workspace};

/// The only provider, and the name of its only method.
pub const PROVIDER: &str = "braze";

/// A credential for one Braze workspace. The key is inside, sealed.
#[derive(Debug, Clone, PartialEq)]
pub struct Authorization {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name.
    pub id: String,
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Braze instance, such as `US-01`.
    pub instance: String,
    /// The Braze workspace that the key belongs to, as the account calls it.
    pub workspace: String,
    /// How many requests the workspace gets, as far as this authorization says.
    pub budget: Budget,
    /// When it was created.
    pub create_time: Timestamp,
    /// When it was last edited.
    pub update_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
    sealed: SealedSecret,
}

/// An authorization to be created.
#[derive(Debug)]
pub struct NewAuthorization {
    /// For people; unique in the account.
    pub label: String,
    /// For people.
    pub description: String,
    /// Braze instance, such as `US-01`.
    pub instance: String,
    /// The Braze workspace that the key belongs to; `None` is one of its own.
    pub workspace: Option<String>,
    /// How many requests the workspace gets.
    pub budget: Budget,
    /// Sealed before it is stored.
    pub rest_api_key: SecretString,
}

impl Authorization {
    /// `accounts/{number}/authorizations/{id}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::AUTHORIZATIONS, &self.id)
    }

    /// The Braze workspace, unique in the installation: two accounts that use one word mean two workspaces.
    pub fn workspace_key(&self) -> String {
        format!("{}.{}", self.account, self.workspace)
    }

    /// The REST API key in the clear.
    ///
    /// # Errors
    /// When the key that sealed it is not configured, or the record was tampered with.
    pub fn rest_api_key(&self, sealer: &Sealer) -> Result<SecretString, sealing::Error> {
        sealer.open(&self.name(), &self.sealed)
    }

    /// Which key it holds, counted from 1: a rotated one is the next.
    pub fn secret_revision(&self) -> u64 {
        self.sealed.secret_revision
    }

    /// What can be edited.
    pub fn settings(&self) -> AuthorizationSettings {
        AuthorizationSettings {
            label: self.label.clone(),
            description: self.description.clone(),
            budget: self.budget,
        }
    }

    /// As the contracts write it, without the key and without what is observed.
    pub fn to_wire(&self) -> wire::Authorization {
        wire::Authorization {
            name: self.name(),
            provider: PROVIDER.to_owned(),
            method: PROVIDER.to_owned(),
            label: self.label.clone(),
            description: self.description.clone(),
            instance: self.instance.clone(),
            workspace: self.workspace.clone(),
            create_time: Some(model::time::to_wire(self.create_time)),
            update_time: Some(model::time::to_wire(self.update_time)),
            revision: self.revision,
            budget: self.budget.to_wire(),
            health: None,
        }
    }
}

impl Resource for Authorization {
    const KIND: &'static str = "authorization/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let authorization = Some(wire::Authorization {
            revision: 0,
            ..self.to_wire()
        });
        let stored = StoredAuthorization {
            authorization,
            rest_api_key: Some(self.sealed.clone()),
        };
        ControlRecord {
            resource: Some(control_record::Resource::Authorization(stored)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::Authorization(stored) = record.resource? else {
            return None;
        };
        let authorization = stored.authorization?;
        let (account, id) = name::child(&authorization.name, name::AUTHORIZATIONS).ok()?;
        Some(Self {
            account,
            id: id.to_owned(),
            create_time: model::time::from_wire(&authorization.create_time?)?,
            update_time: model::time::from_wire(&authorization.update_time?)?,
            label: authorization.label,
            description: authorization.description,
            instance: authorization.instance,
            workspace: authorization.workspace,
            budget: Budget::from_wire(authorization.budget),
            revision,
            sealed: stored.rest_api_key?,
        })
    }
}

/// With its workspace's slot, if it is the first to name the workspace.
fn decide_create(state: &impl State, wanted: &Authorization, slots: i32) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, wanted.account)?;
    must_be_free(state, wanted)?;
    let siblings = name::format_child(wanted.account, name::AUTHORIZATIONS, "");
    for (name, existing) in record::all::<Authorization>(state, &siblings) {
        if existing.workspace == wanted.workspace && existing.instance != wanted.instance {
            return Err(Error::FailedPrecondition(format!(
                "{name} says that Braze workspace {} is on instance {}; one workspace is on one instance",
                existing.workspace, existing.instance
            )));
        }
    }
    let slot = workspace::decide_slot(state, &wanted.workspace_key(), slots);
    // The last record's revision is the authorization's.
    Ok((slot.into_iter().chain([wanted.put()]).collect(), ()))
}

/// The same authorization with another key, under the next revision of its secret.
fn decide_rotate(
    state: &impl State,
    name: &str,
    sealer: &Sealer,
    key: &SecretString,
    based_on: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, Authorization), Error> {
    let known: Authorization = record::fetch(state, name)?;
    record::check_revision(name, Some(known.revision), based_on)?;
    let rotated = Authorization {
        sealed: sealer.seal(name, known.sealed.secret_revision + 1, key)?,
        update_time: now,
        ..known
    };
    Ok((vec![rotated.put()], rotated))
}

pub(crate) fn decide_delete(
    state: &impl State,
    account: AccountNumber,
    name: &str,
    removed: &Removed,
    based_on: Option<u64>,
) -> Result<(Vec<Change>, ()), Error> {
    let leaving: Authorization = record::fetch(state, name)?;
    record::check_revision(name, Some(leaving.revision), based_on)?;
    let jobs = name::format_child(account, name::EXPORT_JOBS, "");
    let users: Vec<String> = record::all::<ExportJob>(state, &jobs)
        .filter(|(_, job)| job.authorization == name)
        .filter(|(_, job)| !job.killed || job.still_removes(removed).next().is_some())
        .map(|(job_name, job)| format!("{job_name} (\"{}\")", job.label))
        .chain(import_job::users(state, account, name))
        .collect();
    if !users.is_empty() {
        return Err(Error::FailedPrecondition(format!(
            "{name} is used by {}; delete them first",
            users.join(", ")
        )));
    }
    let forget = workspace::decide_forget(state, &leaving);
    Ok((
        forget
            .into_iter()
            .chain([record::delete::<Authorization>(name)])
            .collect(),
        (),
    ))
}

/// The authorizations of a [`Directory`].
pub struct Authorizations<'a>(pub(crate) &'a Directory);

impl Authorizations<'_> {
    /// Seals the key and creates the authorization. The first one of a Braze workspace gives it one of `slots` slots.
    ///
    /// # Errors
    /// [`Error::NotFound`] for the account; [`Error::AlreadyExists`] for the label; [`Error::FailedPrecondition`] when the
    /// workspace is known to be on another instance.
    pub async fn create(
        &self,
        account: AccountNumber,
        new: NewAuthorization,
        slots: i32,
        sealer: &Sealer,
        now: Timestamp,
    ) -> Result<Authorization, Error> {
        let mut created = build(account, new, sealer, now)?;
        let wanted = created.clone();
        created.revision = self.0.mutate(move |view| decide_create(view, &wanted, slots)).await?.1;
        Ok(created)
    }

    /// The authorization of that id.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, id: &str) -> Result<Authorization, Error> {
        self.0.fetch(&name::format_child(account, name::AUTHORIZATIONS, id))
    }

    /// A page of the account's authorizations, oldest first.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<Authorization>, Error> {
        self.0.list_children(account, name::AUTHORIZATIONS, page)
    }

    /// The authorizations of every account.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn all(&self) -> Result<Vec<Authorization>, Error> {
        self.0.all("accounts/")
    }

    /// Changes label, description and budget of an authorization.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::AlreadyExists`] for the label; [`Error::Aborted`] when the authorization is not the revision
    /// that the edit is based on.
    pub async fn update(
        &self,
        account: AccountNumber,
        id: &str,
        based_on: Option<u64>,
        edit: impl Fn(&mut AuthorizationSettings) + Send + Sync + 'static,
        now: Timestamp,
    ) -> Result<Authorization, Error> {
        let name = name::format_child(account, name::AUTHORIZATIONS, id);
        let decide = move |view: &kafka::View| decide_update(view, &name, based_on, &edit, now);
        let (updated, revision) = self.0.mutate(decide).await?;
        Ok(Authorization { revision, ..updated })
    }

    /// Replaces the key of an authorization, and nothing else.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`.
    pub async fn rotate_key(
        &self,
        account: AccountNumber,
        id: &str,
        rest_api_key: SecretString,
        sealer: &Arc<Sealer>,
        based_on: Option<u64>,
        now: Timestamp,
    ) -> Result<Authorization, Error> {
        let name = name::format_child(account, name::AUTHORIZATIONS, id);
        let sealer = Arc::clone(sealer);
        let decide = move |view: &kafka::View| decide_rotate(view, &name, &sealer, &rest_api_key, based_on, now);
        let (rotated, revision) = self.0.mutate(decide).await?;
        Ok(Authorization { revision, ..rotated })
    }

    /// Deletes an authorization and the key in it. `removed`: the removals that are over.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`; [`Error::FailedPrecondition`] while
    /// jobs use it, naming them.
    pub async fn delete(
        &self,
        account: AccountNumber,
        id: &str,
        removed: Removed,
        based_on: Option<u64>,
    ) -> Result<(), Error> {
        let name = name::format_child(account, name::AUTHORIZATIONS, id);
        let decide = move |view: &kafka::View| decide_delete(view, account, &name, &removed, based_on);
        self.0.mutate(decide).await.map(|_| ())
    }
}

fn build(
    account: AccountNumber,
    new: NewAuthorization,
    sealer: &Sealer,
    now: Timestamp,
) -> Result<Authorization, sealing::Error> {
    let id = id::new_id(now);
    let name = name::format_child(account, name::AUTHORIZATIONS, &id);
    Ok(Authorization {
        account,
        sealed: sealer.seal(&name, 1, &new.rest_api_key)?,
        workspace: new.workspace.unwrap_or_else(|| id.clone()),
        id,
        label: new.label,
        description: new.description,
        instance: new.instance,
        budget: new.budget,
        create_time: now,
        update_time: now,
        revision: 0,
    })
}
