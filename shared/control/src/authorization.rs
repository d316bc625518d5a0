//! Authorizations: sealed credentials for Braze.

use std::sync::Arc;

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::authorization::v1 as wire;
use proto::control::v1::{ControlRecord, SealedSecret, StoredAuthorization, control_record};
use secrecy::SecretString;

use crate::account::must_exist;
use crate::export_job::ExportJob;
use crate::record::{self, Resource, State};
use crate::sealing::{self, Sealer};
use crate::{Directory, Error, Listed, Page, id, workspace};

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

    /// As the contracts write it, without the key.
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
            revision,
            sealed: stored.rest_api_key?,
        })
    }
}

/// With its workspace's slot, if it is the first to name the workspace.
fn decide_create(state: &impl State, wanted: &Authorization, slots: i32) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, wanted.account)?;
    let siblings = name::format_child(wanted.account, name::AUTHORIZATIONS, "");
    for (name, existing) in record::all::<Authorization>(state, &siblings) {
        if existing.label == wanted.label {
            return Err(Error::AlreadyExists(format!(
                "{name} has the label \"{}\" already",
                existing.label
            )));
        }
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
    now: Timestamp,
) -> Result<(Vec<Change>, Authorization), Error> {
    let known: Authorization = record::fetch(state, name)?;
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
) -> Result<(Vec<Change>, ()), Error> {
    let leaving: Authorization = record::fetch(state, name)?;
    let jobs = name::format_child(account, name::EXPORT_JOBS, "");
    let users: Vec<String> = record::all::<ExportJob>(state, &jobs)
        .filter(|(_, job)| job.authorization == name && !job.killed)
        .map(|(job_name, job)| format!("{job_name} (\"{}\")", job.label))
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

    /// Replaces the key of an authorization, and nothing else.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn rotate_key(
        &self,
        account: AccountNumber,
        id: &str,
        rest_api_key: SecretString,
        sealer: &Arc<Sealer>,
        now: Timestamp,
    ) -> Result<Authorization, Error> {
        let name = name::format_child(account, name::AUTHORIZATIONS, id);
        let sealer = Arc::clone(sealer);
        let decide = move |view: &kafka::View| decide_rotate(view, &name, &sealer, &rest_api_key, now);
        let (rotated, revision) = self.0.mutate(decide).await?;
        Ok(Authorization { revision, ..rotated })
    }

    /// Deletes an authorization and the key in it.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::FailedPrecondition`] while jobs use it, naming them.
    pub async fn delete(&self, account: AccountNumber, id: &str) -> Result<(), Error> {
        let name = name::format_child(account, name::AUTHORIZATIONS, id);
        self.0
            .mutate(move |view| decide_delete(view, account, &name))
            .await
            .map(|_| ())
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
        create_time: now,
        update_time: now,
        revision: 0,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use secrecy::ExposeSecret;

    use super::*;
    use crate::account::tests::account;
    use crate::record::testing::Map;

    pub(crate) fn sealer() -> Sealer {
        Sealer::from_config(&SecretString::from("k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")).unwrap()
    }

    pub(crate) fn authorization(number: u64, id: &str, workspace: &str) -> Authorization {
        let new = NewAuthorization {
            label: format!("label of {id}"),
            description: "d".to_owned(),
            instance: "US-01".to_owned(),
            workspace: Some(workspace.to_owned()),
            rest_api_key: SecretString::from("key-of-this-test"),
        };
        let built = build(
            account(number).number,
            new,
            &sealer(),
            "2026-01-01T00:00:00Z".parse().unwrap(),
        )
        .unwrap();
        let name = name::format_child(built.account, name::AUTHORIZATIONS, id);
        let sealed = sealer()
            .seal(&name, 1, &SecretString::from("key-of-this-test"))
            .unwrap();
        Authorization {
            id: id.to_owned(),
            sealed,
            ..built
        }
    }

    /// Account 7 with one authorization, `a`, for workspace `w`.
    pub(crate) fn state() -> Map {
        let mut map = Map::default();
        map.apply(Ok((vec![account(7).put()], ()))).unwrap();
        map.apply(decide_create(&map, &authorization(7, "a", "w"), 8)).unwrap();
        map
    }

    #[test]
    fn an_authorization_is_read_back_and_its_key_opens() {
        let read: Authorization = record::fetch(&state(), "accounts/7/authorizations/a").unwrap();
        assert_eq!(
            read.rest_api_key(&sealer()).unwrap().expose_secret(),
            "key-of-this-test"
        );
        assert_eq!(read.workspace_key(), "7.w");
        assert_eq!(read.revision, 3, "account, workspace, authorization");
    }

    #[test]
    fn the_key_is_in_the_clear_neither_in_the_record_nor_in_debug_output() {
        let value = state().get("authorization/accounts/7/authorizations/a").unwrap().value;
        assert!(!value.windows(11).any(|window| window == b"key-of-this"));
        assert!(!format!("{:?}", authorization(7, "a", "w")).contains("key-of-this"));
    }

    #[test]
    fn without_a_workspace_it_is_one_of_its_own() {
        let new = NewAuthorization {
            label: "l".to_owned(),
            description: String::new(),
            instance: "US-01".to_owned(),
            workspace: None,
            rest_api_key: SecretString::from("k"),
        };
        let built = build(account(7).number, new, &sealer(), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(built.workspace, built.id);
    }

    #[test]
    fn a_label_is_unique_in_its_account_and_free_in_another() {
        let mut map = state();
        let same_label = Authorization {
            label: "label of a".to_owned(),
            ..authorization(7, "b", "w")
        };
        let error = decide_create(&map, &same_label, 8).unwrap_err();
        assert!(
            matches!(&error, Error::AlreadyExists(text) if text.contains("accounts/7/authorizations/a")),
            "{error}"
        );
        let elsewhere = Authorization {
            label: "label of a".to_owned(),
            ..authorization(8, "b", "w")
        };
        assert!(
            matches!(decide_create(&map, &elsewhere, 8), Err(Error::NotFound(_))),
            "account 8 does not exist yet"
        );
        map.apply(Ok((vec![account(8).put()], ()))).unwrap();
        map.apply(decide_create(&map, &elsewhere, 8)).unwrap();
    }

    #[test]
    fn one_workspace_is_on_one_instance() {
        let map = state();
        let moved = Authorization {
            instance: "EU-01".to_owned(),
            ..authorization(7, "b", "w")
        };
        assert!(matches!(
            decide_create(&map, &moved, 8),
            Err(Error::FailedPrecondition(_))
        ));
        let second_key = authorization(7, "b", "w");
        assert!(decide_create(&map, &second_key, 8).is_ok());
    }

    #[test]
    fn a_rotated_key_replaces_the_old_one_which_does_not_open_if_it_is_put_back() {
        let mut map = state();
        let name = "accounts/7/authorizations/a";
        let before: Authorization = record::fetch(&map, name).unwrap();
        let (key, now) = (SecretString::from("another-key"), Timestamp::now());
        map.apply(decide_rotate(&map, name, &sealer(), &key, now)).unwrap();
        let after: Authorization = record::fetch(&map, name).unwrap();
        assert_eq!(after.rest_api_key(&sealer()).unwrap().expose_secret(), "another-key");
        assert!(after.revision > before.revision && after.sealed.secret_revision == 2);
        let unchanged = Authorization {
            sealed: before.sealed.clone(),
            revision: before.revision,
            update_time: before.update_time,
            ..after.clone()
        };
        assert_eq!(unchanged, before, "nothing but the key");
        let mut put_back = after;
        put_back.sealed.ciphertext = before.sealed.ciphertext;
        put_back.sealed.nonce = before.sealed.nonce;
        assert!(put_back.rest_api_key(&sealer()).is_err());
        let nobody = decide_rotate(&map, "accounts/7/authorizations/z", &sealer(), &key, now);
        assert!(matches!(nobody, Err(Error::NotFound(_))));
    }

    #[test]
    fn deleting_it_makes_the_label_free_again() {
        let mut map = state();
        map.apply(decide_delete(&map, account(7).number, "accounts/7/authorizations/a"))
            .unwrap();
        assert_eq!(map.keys(), ["account/accounts/7"]);
        assert!(decide_create(&map, &authorization(7, "a", "w"), 8).is_ok());
    }
}
