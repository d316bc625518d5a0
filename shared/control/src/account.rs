//! Accounts.

use jiff::Timestamp;
use kafka::Change;
use model::{AccountHex, AccountNumber, AccountRef, name};
use proto::account::v1 as wire;
use proto::control::v1::{ControlRecord, control_record};

use crate::authorization::Authorization;
use crate::export_job::ExportJob;
use crate::import_job::ImportJob;
use crate::record::{self, Resource, State};
use crate::storage::StorageAuthorization;
use crate::token::{self, ApiToken};
use crate::{Directory, Error, Listed, Page};
use crate::{mapping, shadow};

/// An account: what data, tokens, authorizations and jobs belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Decimal number.
    pub number: AccountNumber,
    /// The same account as 32 hexadecimal digits.
    pub hex: AccountHex,
    /// For people.
    pub label: String,
    /// When it was created.
    pub create_time: Timestamp,
    /// Changes with every edit.
    pub revision: u64,
}

/// An account to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Decimal number.
    pub number: AccountNumber,
    /// Made up if `None`.
    pub hex: Option<AccountHex>,
    /// For people.
    pub label: String,
}

impl Account {
    /// `accounts/{number}`.
    pub fn name(&self) -> String {
        name::format_account(self.number)
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::Account {
        wire::Account {
            name: self.name(),
            number: self.number.get(),
            hex: self.hex.to_string(),
            label: self.label.clone(),
            create_time: Some(model::time::to_wire(self.create_time)),
            revision: self.revision,
        }
    }
}

impl Resource for Account {
    const KIND: &'static str = "account/";

    fn name(&self) -> String {
        self.name()
    }

    fn to_record(&self) -> ControlRecord {
        let account = wire::Account {
            revision: 0,
            ..self.to_wire()
        };
        ControlRecord {
            resource: Some(control_record::Resource::Account(account)),
        }
    }

    fn from_record(record: ControlRecord, revision: u64) -> Option<Self> {
        let control_record::Resource::Account(account) = record.resource? else {
            return None;
        };
        Some(Self {
            number: AccountNumber::new(account.number)?,
            hex: account.hex.parse().ok()?,
            label: account.label,
            create_time: model::time::from_wire(&account.create_time?)?,
            revision,
        })
    }
}

/// That the account exists, or the error that says it does not.
pub(crate) fn must_exist(state: &impl State, number: AccountNumber) -> Result<(), Error> {
    record::fetch::<Account>(state, &name::format_account(number)).map(|_| ())
}

fn decide_create(state: &impl State, account: &Account) -> Result<(Vec<Change>, ()), Error> {
    let name = account.name();
    for (other, existing) in record::all::<Account>(state, "accounts/") {
        if other == name {
            return Err(Error::AlreadyExists(format!("{name} exists already")));
        }
        if existing.hex == account.hex {
            return Err(Error::AlreadyExists(format!(
                "{other} has these hexadecimal digits already"
            )));
        }
    }
    Ok((vec![account.put()], ()))
}

/// Takes the account's tokens and mappings with it; refuses while somebody's work hangs on it.
pub(crate) fn decide_delete(
    state: &impl State,
    number: AccountNumber,
    based_on: Option<u64>,
) -> Result<(Vec<Change>, ()), Error> {
    let name = name::format_account(number);
    let known: Account = record::fetch(state, &name)?;
    record::check_revision(&name, Some(known.revision), based_on)?;
    let under = format!("{name}/");
    let jobs = record::scan::<ExportJob>(state, &under).map(|(job, _)| job);
    let authorizations = record::all::<Authorization>(state, &under).map(|(authorization, _)| authorization);
    let imports = record::scan::<ImportJob>(state, &under).map(|(job, _)| job);
    let storages = record::all::<StorageAuthorization>(state, &under).map(|(storage, _)| storage);
    let held: Vec<String> = jobs.chain(authorizations).chain(imports).chain(storages).collect();
    if !held.is_empty() {
        return Err(Error::FailedPrecondition(format!(
            "{name} still has {}; delete them first",
            held.join(", ")
        )));
    }
    let tokens = record::all::<ApiToken>(state, &under).flat_map(|(token, _)| token::forget(state, &token));
    let mappings = mapping::delete_all(state, number)
        .into_iter()
        .chain(shadow::delete_all(state, number));
    let changes = tokens.chain(mappings).chain([record::delete::<Account>(&name)]);
    Ok((changes.collect(), ()))
}

/// The accounts of a [`Directory`].
pub struct Accounts<'a>(pub(crate) &'a Directory);

impl Accounts<'_> {
    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::AlreadyExists`] when its number or its digits are taken.
    pub async fn create(&self, new: NewAccount, now: Timestamp) -> Result<Account, Error> {
        let hex = new.hex.unwrap_or_else(|| AccountHex::new(rand::random()));
        let mut account = Account {
            number: new.number,
            hex,
            label: new.label,
            create_time: now,
            revision: 0,
        };
        let wanted = account.clone();
        account.revision = self.0.mutate(move |view| decide_create(view, &wanted)).await?.1;
        Ok(account)
    }

    /// Creates those that do not exist yet; for the start of an installation.
    ///
    /// # Errors
    /// When the table cannot be written.
    pub async fn ensure(&self, wanted: &[(AccountNumber, String)], now: Timestamp) -> Result<(), Error> {
        for (number, label) in wanted {
            if self.0.find::<Account>(&name::format_account(*number))?.is_some() {
                continue;
            }
            match self
                .create(
                    NewAccount {
                        number: *number,
                        hex: None,
                        label: label.clone(),
                    },
                    now,
                )
                .await
            {
                Ok(account) => tracing::info!(account = %account.number, "created account {}", account.name()),
                // Another replica that starts at the same time.
                Err(Error::AlreadyExists(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The account of that number or those digits.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Unavailable`] when the table is too old to know.
    pub fn get(&self, account: AccountRef) -> Result<Account, Error> {
        self.0.account(account)
    }

    /// A page of all accounts.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn list(&self, page: &Page) -> Result<Listed<Account>, Error> {
        self.0.list("accounts/", page)
    }

    /// Every account.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn all(&self) -> Result<Vec<Account>, Error> {
        self.0.all("accounts/")
    }

    /// Deletes an account, its tokens and its mappings. Its topics stay: whoever deletes data does it knowingly, at Kafka.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Stale`] when it is at another revision than `based_on`; [`Error::FailedPrecondition`] while
    /// authorizations or jobs belong to it, naming them.
    pub async fn delete(&self, number: AccountNumber, based_on: Option<u64>) -> Result<(), Error> {
        let decide = move |view: &kafka::View| decide_delete(view, number, based_on);
        self.0.mutate(decide).await.map(|_| ())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::testing::Map;

    pub(crate) fn account(number: u64) -> Account {
        Account {
            number: AccountNumber::new(number).unwrap(),
            hex: AccountHex::new(u128::from(number)),
            label: "Demo".to_owned(),
            create_time: "2026-01-01T00:00:00Z".parse().unwrap(),
            revision: 0,
        }
    }

    #[test]
    fn an_account_is_read_back_as_it_was_created_with_the_revision_of_its_record() {
        let mut map = Map::default();
        map.apply(decide_create(&map, &account(7))).unwrap();
        let read: Account = record::fetch(&map, "accounts/7").unwrap();
        assert_eq!(
            read,
            Account {
                revision: 1,
                ..account(7)
            }
        );
        assert_eq!(map.keys(), ["account/accounts/7"]);
    }

    #[test]
    fn neither_number_nor_digits_can_be_taken_twice() {
        let mut map = Map::default();
        map.apply(decide_create(&map, &account(7))).unwrap();
        assert!(matches!(decide_create(&map, &account(7)), Err(Error::AlreadyExists(_))));
        let same_hex = Account {
            hex: account(7).hex,
            ..account(8)
        };
        assert!(
            matches!(decide_create(&map, &same_hex), Err(Error::AlreadyExists(text)) if text.contains("accounts/7"))
        );
        map.apply(decide_create(&map, &account(70))).unwrap();
    }

    #[test]
    fn deleting_what_is_not_there_is_not_found() {
        let number = account(7).number;
        assert!(matches!(
            decide_delete(&Map::default(), number, None),
            Err(Error::NotFound(_))
        ));
    }

    #[test]
    fn a_record_that_cannot_be_read_hides_no_other_and_is_told_by_its_key() {
        let mut map = Map::default();
        map.apply(decide_create(&map, &account(7))).unwrap();
        map.insert("account/accounts/8", b"\xff\xff");
        assert_eq!(record::all::<Account>(&map, "accounts/").count(), 1);
        let error = record::fetch::<Account>(&map, "accounts/8").unwrap_err();
        assert!(error.to_string().contains("account/accounts/8"));
    }
}
