//! Shadows: mappings that run beside the live ones. They have no versions; a new one replaces the old.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::{ControlRecord, control_record};
use proto::mapping::v1 as wire;

use crate::account::must_exist;
use crate::record::{self, Resource, State};
use crate::{Directory, Error, Listed, NewMapping, Page};

/// Shadows of an account.
const SHADOWS_MAX: usize = 10;

/// A mapping that runs beside the live one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shadow {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name: what `ALIAS` says.
    pub alias: String,
    /// The stream that it reads; no other shadow of the account does.
    pub stream: String,
    /// The statement.
    pub lql: String,
    /// When it was put.
    pub create_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
}

impl Shadow {
    /// `accounts/{number}/shadows/{alias}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::SHADOWS, &self.alias)
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::Shadow {
        wire::Shadow {
            name: self.name(),
            stream: self.stream.clone(),
            lql: self.lql.clone(),
            create_time: Some(model::time::to_wire(self.create_time)),
            revision: self.revision,
        }
    }
}

impl Resource for Shadow {
    const KIND: &'static str = "shadow/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let shadow = wire::Shadow {
            revision: 0,
            ..self.to_wire()
        };
        ControlRecord {
            resource: Some(control_record::Resource::Shadow(shadow)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::Shadow(shadow) = record.resource? else {
            return None;
        };
        let (account, alias) = name::aliased(&shadow.name, name::SHADOWS).ok()?;
        Some(Self {
            account,
            alias: alias.to_owned(),
            create_time: model::time::from_wire(&shadow.create_time?)?,
            stream: shadow.stream,
            lql: shadow.lql,
            revision,
        })
    }
}

fn of_account(account: AccountNumber) -> String {
    name::format_child(account, name::SHADOWS, "")
}

fn decide_put(state: &impl State, shadow: &Shadow, if_revision: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    must_exist(state, shadow.account)?;
    let name = shadow.name();
    let present: Option<Shadow> = record::find(state, &name)?;
    record::check_revision(&name, present.map(|present| present.revision), if_revision)?;
    let mut others = 0;
    for (other, existing) in
        record::scan::<Shadow>(state, &of_account(shadow.account)).filter(|(other, _)| *other != name)
    {
        others += 1;
        if existing.is_some_and(|existing| existing.stream == shadow.stream) {
            let message = format!(
                "{other} is beside the stream {:?} already; delete it first",
                shadow.stream
            );
            return Err(Error::AlreadyExists(message));
        }
    }
    if others >= SHADOWS_MAX {
        let message = format!("an account has at most {SHADOWS_MAX} shadows; delete one first");
        return Err(Error::FailedPrecondition(message));
    }
    Ok((vec![shadow.put()], ()))
}

fn decide_delete(state: &impl State, name: &str, if_revision: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    let present: Shadow = record::fetch(state, name)?;
    record::check_revision(name, Some(present.revision), if_revision)?;
    Ok((vec![record::delete::<Shadow>(name)], ()))
}

/// What removes every shadow of an account.
pub(crate) fn delete_all(state: &impl State, account: AccountNumber) -> Vec<Change> {
    let under = of_account(account);
    let shadows = record::scan::<Shadow>(state, &under).map(|(shadow, _)| record::delete::<Shadow>(&shadow));
    shadows.collect()
}

/// The shadows of a [`Directory`].
pub struct Shadows<'a>(pub(crate) &'a Directory);

impl Shadows<'_> {
    /// Puts a statement beside the mapping of its stream, in the place of the shadow of its alias; of `if_revision`, 0 is that there
    /// must be none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist, [`Error::Stale`] when the shadow is at another revision,
    /// [`Error::AlreadyExists`] when another one is beside the stream, [`Error::FailedPrecondition`] when the account has too many.
    pub async fn put(
        &self,
        account: AccountNumber,
        new: NewMapping,
        if_revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Shadow, Error> {
        let NewMapping { alias, stream, lql } = new;
        let mut shadow = Shadow {
            account,
            alias,
            stream,
            lql,
            create_time: now,
            revision: 0,
        };
        let wanted = shadow.clone();
        let decide = move |view: &_| decide_put(view, &wanted, if_revision);
        shadow.revision = self.0.mutate(decide).await?.1;
        Ok(shadow)
    }

    /// The shadow of that alias.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, alias: &str) -> Result<Shadow, Error> {
        self.0.fetch(&name::format_child(account, name::SHADOWS, alias))
    }

    /// A page of the account's shadows, by alias.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<Shadow>, Error> {
        self.0.list_children(account, name::SHADOWS, page)
    }

    /// Every shadow of every account, as the table has it, however old that is.
    pub fn every(&self) -> Vec<Shadow> {
        self.0.known("accounts/")
    }

    /// Takes a shadow away.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `if_revision`.
    pub async fn delete(&self, account: AccountNumber, alias: &str, if_revision: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::SHADOWS, alias);
        let decide = move |view: &_| decide_delete(view, &name, if_revision);
        self.0.mutate(decide).await.map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::tests::account;
    use crate::record::testing::Map;

    fn shadow(alias: &str, stream: &str) -> Shadow {
        Shadow {
            account: account(7).number,
            alias: alias.to_owned(),
            stream: stream.to_owned(),
            lql: "SELECT …".to_owned(),
            create_time: Timestamp::UNIX_EPOCH,
            revision: 0,
        }
    }

    #[test]
    fn a_stream_has_one_shadow_which_a_new_one_of_its_alias_replaces() {
        let mut map = Map::default();
        map.apply(Ok((vec![account(7).put()], ()))).unwrap();
        let (first, other) = (shadow("web", "web"), shadow("web2", "web"));
        map.apply(decide_put(&map, &first, Some(0))).unwrap();
        let stored: Shadow = record::fetch(&map, &first.name()).unwrap();
        assert_eq!(
            stored,
            Shadow {
                revision: 2,
                ..first.clone()
            }
        );
        assert!(
            matches!(decide_put(&map, &other, None), Err(Error::AlreadyExists(text)) if text.contains(&first.name()))
        );
        assert!(matches!(decide_put(&map, &first, Some(0)), Err(Error::Stale(_))));
        map.apply(decide_put(&map, &first, Some(2))).unwrap();
        assert!(matches!(
            decide_delete(&map, &first.name(), Some(2)),
            Err(Error::Stale(_))
        ));
        map.apply(decide_delete(&map, &first.name(), Some(3))).unwrap();
        map.apply(decide_put(&map, &other, None)).unwrap();
    }

    #[test]
    fn an_account_has_a_bounded_number_of_shadows() {
        let mut map = Map::default();
        map.apply(Ok((vec![account(7).put()], ()))).unwrap();
        for n in 0..SHADOWS_MAX {
            let shadow = shadow(&format!("s{n}"), &format!("stream {n}"));
            map.apply(decide_put(&map, &shadow, None)).unwrap();
        }
        let one_more = decide_put(&map, &shadow("more", "more"), None);
        assert!(matches!(one_more, Err(Error::FailedPrecondition(_))));
        map.apply(decide_put(&map, &shadow("s1", "more"), None)).unwrap();
    }
}
