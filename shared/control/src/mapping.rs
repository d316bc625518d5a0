//! Mappings: the live version of each is a resource of its own, older ones are kept beside it. What a statement means is none of
//! this crate's business; whoever puts one has compiled it.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountNumber, name};
use proto::control::v1::{ControlRecord, StoredMappingCounter, control_record};
use proto::mapping::v1 as wire;

use crate::account::must_exist;
use crate::record::{self, Resource, State};
use crate::{Directory, Error, Listed, Page};

#[cfg(test)]
mod tests;

/// Versions of a mapping that are kept, the live one among them.
const VERSIONS_KEPT: usize = 10;
/// Mappings of an account.
const MAPPINGS_MAX: usize = 50;

/// One version of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// The account it belongs to.
    pub account: AccountNumber,
    /// Last part of its name: what `ALIAS` says.
    pub alias: String,
    /// The stream that it reads; no other mapping of the account does.
    pub stream: String,
    /// The statement.
    pub lql: String,
    /// From 1; counts up within the account and is never given twice.
    pub version: u64,
    /// When this version was put.
    pub create_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
}

/// A statement to become the live version of a mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMapping {
    /// What `ALIAS` says.
    pub alias: String,
    /// What `FROM` says.
    pub stream: String,
    /// The statement.
    pub lql: String,
}

impl Mapping {
    /// `accounts/{number}/mappings/{alias}`.
    pub fn name(&self) -> String {
        name::format_child(self.account, name::MAPPINGS, &self.alias)
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::Mapping {
        wire::Mapping {
            name: self.name(),
            stream: self.stream.clone(),
            lql: self.lql.clone(),
            version: self.version,
            create_time: Some(model::time::to_wire(self.create_time)),
            revision: self.revision,
        }
    }
}

impl Resource for Mapping {
    const KIND: &'static str = "mapping/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let mapping = wire::Mapping {
            revision: 0,
            ..self.to_wire()
        };
        ControlRecord {
            resource: Some(control_record::Resource::Mapping(mapping)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::Mapping(mapping) = record.resource? else {
            return None;
        };
        let (account, alias) = name::aliased(&mapping.name, name::MAPPINGS).ok()?;
        Some(Self {
            account,
            alias: alias.to_owned(),
            create_time: model::time::from_wire(&mapping.create_time?)?,
            stream: mapping.stream,
            lql: mapping.lql,
            version: mapping.version,
            revision,
        })
    }
}

/// A version that is not live any more.
struct Older(Mapping);

/// What the names of the older versions of a mapping begin with.
fn older_prefix(mapping: &str) -> String {
    format!("{mapping}/")
}

/// The digits are as many as the largest version has, so that names sort by version.
fn older_name(mapping: &str, version: u64) -> String {
    format!("{}{version:020}", older_prefix(mapping))
}

impl Resource for Older {
    const KIND: &'static str = "mappingVersion/";

    fn name(&self) -> String {
        older_name(&self.0.name(), self.0.version)
    }

    fn to_record(&self) -> ControlRecord {
        self.0.to_record()
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        Mapping::from_record(record, revision).map(Self)
    }
}

/// The last version that an account gave.
struct Counter {
    account: AccountNumber,
    last_version: u64,
}

impl Resource for Counter {
    const KIND: &'static str = "mappingCounter/";

    fn name(&self) -> String {
        name::format_account(self.account)
    }

    fn to_record(&self) -> ControlRecord {
        let counter = StoredMappingCounter {
            account: self.account.get(),
            last_version: self.last_version,
        };
        ControlRecord {
            resource: Some(control_record::Resource::MappingCounter(counter)),
        }
    }

    fn from_record(record: ControlRecord, _: u64) -> Option<Self> {
        let control_record::Resource::MappingCounter(counter) = record.resource? else {
            return None;
        };
        Some(Self {
            account: AccountNumber::new(counter.account)?,
            last_version: counter.last_version,
        })
    }
}

fn of_account(account: AccountNumber) -> String {
    name::format_child(account, name::MAPPINGS, "")
}

fn decide_put(
    state: &impl State,
    account: AccountNumber,
    new: &NewMapping,
    if_revision: Option<u64>,
    now: Timestamp,
) -> Result<(Vec<Change>, Mapping), Error> {
    must_exist(state, account)?;
    let name = name::format_child(account, name::MAPPINGS, &new.alias);
    let present: Option<Mapping> = record::find(state, &name)?;
    record::check_revision(&name, present.as_ref().map(|present| present.revision), if_revision)?;
    let mut others = 0;
    for (other, mapping) in record::scan::<Mapping>(state, &of_account(account)).filter(|(other, _)| *other != name) {
        others += 1;
        if mapping.is_some_and(|mapping| mapping.stream == new.stream) {
            let message = format!(
                "{other} reads the stream {:?} already; put the statement under that ALIAS, or delete that mapping",
                new.stream
            );
            return Err(Error::AlreadyExists(message));
        }
    }
    if others >= MAPPINGS_MAX {
        let message = format!("an account has at most {MAPPINGS_MAX} mappings; delete one first");
        return Err(Error::FailedPrecondition(message));
    }
    if let Some(present) = present.as_ref().filter(|present| present.lql == new.lql) {
        return Ok((Vec::new(), present.clone()));
    }
    let last: Option<Counter> = record::find(state, &name::format_account(account))?;
    let version = 1 + last.map_or(0, |counter| counter.last_version);
    let mut changes = Vec::new();
    if let Some(present) = present {
        let older: Vec<_> = record::scan::<Older>(state, &older_prefix(&name)).collect();
        // With the one that is pushed down now, and the new one.
        let too_many = (older.len() + 2).saturating_sub(VERSIONS_KEPT);
        let oldest = older.into_iter().take(too_many);
        changes.extend(oldest.map(|(oldest, _)| record::delete::<Older>(&oldest)));
        changes.push(Older(present).put());
    }
    let mapping = Mapping {
        account,
        alias: new.alias.clone(),
        stream: new.stream.clone(),
        lql: new.lql.clone(),
        version,
        create_time: now,
        revision: 0,
    };
    let counter = Counter {
        account,
        last_version: version,
    };
    // The mapping last: its revision is the caller's, and whoever sees it sees the others.
    changes.extend([counter.put(), mapping.put()]);
    Ok((changes, mapping))
}

fn decide_delete(state: &impl State, name: &str, if_revision: Option<u64>) -> Result<(Vec<Change>, ()), Error> {
    let present: Mapping = record::fetch(state, name)?;
    record::check_revision(name, Some(present.revision), if_revision)?;
    let under = older_prefix(name);
    let older = record::scan::<Older>(state, &under).map(|(older, _)| record::delete::<Older>(&older));
    Ok((older.chain([record::delete::<Mapping>(name)]).collect(), ()))
}

/// What removes every mapping of an account.
pub(crate) fn delete_all(state: &impl State, account: AccountNumber) -> Vec<Change> {
    let (under, counter) = (of_account(account), name::format_account(account));
    let live = record::scan::<Mapping>(state, &under).map(|(live, _)| record::delete::<Mapping>(&live));
    let older = record::scan::<Older>(state, &under).map(|(older, _)| record::delete::<Older>(&older));
    let counter = state
        .get(&record::key::<Counter>(&counter))
        .map(|_| record::delete::<Counter>(&counter));
    live.chain(older).chain(counter).collect()
}

/// The mappings of a [`Directory`].
pub struct Mappings<'a>(pub(crate) &'a Directory);

impl Mappings<'_> {
    /// Makes a statement the live version of the mapping of its alias; of `if_revision`, 0 is that there must be none. If it is that
    /// already, nothing happens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist, [`Error::Stale`] when the mapping is at another revision,
    /// [`Error::AlreadyExists`] when another mapping reads the stream, [`Error::FailedPrecondition`] when the account has too many.
    pub async fn put(
        &self,
        account: AccountNumber,
        new: NewMapping,
        if_revision: Option<u64>,
        now: Timestamp,
    ) -> Result<Mapping, Error> {
        let decide = move |view: &_| decide_put(view, account, &new, if_revision, now);
        let (mut mapping, revision) = self.0.mutate(decide).await?;
        if revision > 0 {
            mapping.revision = revision;
        }
        Ok(mapping)
    }

    /// The live version, or the one that is named.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountNumber, alias: &str, version: Option<u64>) -> Result<Mapping, Error> {
        let name = name::format_child(account, name::MAPPINGS, alias);
        let live: Mapping = self.0.fetch(&name)?;
        match version {
            Some(version) if version != live.version => {
                let older = self.0.find::<Older>(&older_name(&name, version))?;
                let missing = || Error::NotFound(format!("version {version} of {name}"));
                older.map(|Older(mapping)| mapping).ok_or_else(missing)
            }
            _ => Ok(live),
        }
    }

    /// A page of the live versions of the account's mappings, by alias.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the account does not exist; [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, account: AccountNumber, page: &Page) -> Result<Listed<Mapping>, Error> {
        self.0.list_children(account, name::MAPPINGS, page)
    }

    /// The versions of a mapping that are kept, newest first.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old.
    pub fn versions(&self, account: AccountNumber, alias: &str) -> Result<Vec<Mapping>, Error> {
        let live = self.get(account, alias, None)?;
        let older = self.0.all::<Older>(&older_prefix(&live.name()))?;
        let older = older.into_iter().rev().map(|Older(mapping)| mapping);
        Ok(std::iter::once(live).chain(older).collect())
    }

    /// The live version of every mapping of every account, as the table has it, however old that is.
    pub fn live(&self) -> Vec<Mapping> {
        self.0.known("accounts/")
    }

    /// Deletes a mapping with all its versions.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `if_revision`.
    pub async fn delete(&self, account: AccountNumber, alias: &str, if_revision: Option<u64>) -> Result<(), Error> {
        let name = name::format_child(account, name::MAPPINGS, alias);
        let decide = move |view: &_| decide_delete(view, &name, if_revision);
        self.0.mutate(decide).await.map(|_| ())
    }
}
