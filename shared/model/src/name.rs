//! Resource names: `accounts/{number}`, `accounts/{number}/{collection}/{id}` and, of what is written in LQL,
//! `accounts/{number}/{collection}/{alias}`.

use crate::account::{AccountNumber, ParseAccountError};

/// Collection of authorizations under an account.
pub const AUTHORIZATIONS: &str = "authorizations";
/// Collection of export jobs under an account.
pub const EXPORT_JOBS: &str = "exportJobs";
/// Collection of import jobs under an account.
pub const IMPORT_JOBS: &str = "importJobs";
/// Collection of storage authorizations under an account.
pub const STORAGE_AUTHORIZATIONS: &str = "storageAuthorizations";
/// Collection of API tokens under an account.
pub const API_TOKENS: &str = "apiTokens";

/// Collection of mappings under an account.
pub const MAPPINGS: &str = "mappings";
/// Collection of mappings under an account that run beside the live ones.
pub const SHADOWS: &str = "shadows";

/// Bound of an id, and of an alias, in bytes.
pub const ID_BYTES_MAX: usize = 63;

/// What is wrong with a resource name, with the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Not `accounts/{number}`.
    #[error("must be accounts/{{number}}, such as accounts/1234")]
    Account,
    /// Not `accounts/{number}/{collection}/{id}`.
    #[error("must be accounts/{{number}}/{collection}/{{id}}, such as accounts/1234/{collection}/k3v9")]
    Child {
        /// The collection that was expected.
        collection: &'static str,
    },
    /// Not `accounts/{number}/{collection}/{alias}`.
    #[error("must be accounts/{{number}}/{collection}/{{alias}}, such as accounts/1234/{collection}/braze_users")]
    Aliased {
        /// The collection that was expected.
        collection: &'static str,
    },
}

impl From<ParseAccountError> for NameError {
    fn from(_: ParseAccountError) -> Self {
        Self::Account
    }
}

/// The account that `accounts/{number}` names.
///
/// # Errors
/// When `name` has another form.
pub fn account(name: &str) -> Result<AccountNumber, NameError> {
    Ok(name.strip_prefix("accounts/").ok_or(NameError::Account)?.parse()?)
}

/// The account and id that `accounts/{number}/{collection}/{id}` names.
///
/// # Errors
/// When `name` has another form, or the id is not made of lower-case letters, digits and hyphens.
pub fn child<'a>(name: &'a str, collection: &'static str) -> Result<(AccountNumber, &'a str), NameError> {
    let child = split(name, collection).filter(|(_, id)| is_id(id));
    child.ok_or(NameError::Child { collection })
}

/// The account and alias that `accounts/{number}/{collection}/{alias}` names.
///
/// # Errors
/// When `name` has another form, or the alias is none ([`is_alias`]).
pub fn aliased<'a>(name: &'a str, collection: &'static str) -> Result<(AccountNumber, &'a str), NameError> {
    let aliased = split(name, collection).filter(|(_, alias)| is_alias(alias));
    aliased.ok_or(NameError::Aliased { collection })
}

/// The account and the last part of a name in a collection.
fn split<'a>(name: &'a str, collection: &str) -> Option<(AccountNumber, &'a str)> {
    let (parent, last) = name.rsplit_once('/')?;
    let parent = parent.strip_suffix(collection)?.strip_suffix('/')?;
    Some((account(parent).ok()?, last))
}

/// `accounts/{number}`.
pub fn format_account(account: AccountNumber) -> String {
    format!("accounts/{account}")
}

/// `accounts/{number}/{collection}/{id}`.
pub fn format_child(account: AccountNumber, collection: &str, id: &str) -> String {
    format!("accounts/{account}/{collection}/{id}")
}

/// Whether `text` may be an id: 1 to 63 lower-case letters, digits and hyphens. No `_`, which separates the parts of a token,
/// and no `/`, which separates those of a name.
pub fn is_id(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Whether `text` may name a mapping, and so be a part of a resource's name: 1 to 63 ASCII letters, digits, `_`, `-` and `.`.
pub fn is_alias(text: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_the_round_trip() {
        let number = AccountNumber::new(1234).unwrap();
        assert_eq!(account(&format_account(number)), Ok(number));
        let name = format_child(number, EXPORT_JOBS, "k3-v9");
        assert_eq!(name, "accounts/1234/exportJobs/k3-v9");
        assert_eq!(child(&name, EXPORT_JOBS), Ok((number, "k3-v9")));
    }

    #[test]
    fn another_form_is_refused_and_the_form_is_told() {
        for bad in [
            "",
            "1234",
            "accounts/",
            "accounts/0",
            "accounts/01",
            "accounts/1/",
            "account/1",
        ] {
            assert_eq!(account(bad), Err(NameError::Account), "{bad}");
        }
        for bad in [
            "accounts/1/exportJobs",
            "accounts/1/exportJobs/",
            "accounts/1/authorizations/a",
            "accounts/1/xexportJobs/a",
            "accounts/x/exportJobs/a",
            "accounts/1/exportJobs/A",
            "accounts/1/exportJobs/a_b",
            "accounts/1/exportJobs/a/b",
            "exportJobs/a",
        ] {
            assert_eq!(
                child(bad, EXPORT_JOBS),
                Err(NameError::Child {
                    collection: EXPORT_JOBS
                }),
                "{bad}"
            );
        }
        assert_eq!(
            NameError::Child {
                collection: EXPORT_JOBS
            }
            .to_string(),
            "must be accounts/{number}/exportJobs/{id}, such as accounts/1234/exportJobs/k3v9"
        );
    }

    #[test]
    fn an_alias_may_be_what_lql_calls_a_mapping_but_no_part_of_another_name() {
        let number = AccountNumber::new(7).unwrap();
        let longest = "x".repeat(63);
        for good in ["braze_users", "Web-2.1", longest.as_str()] {
            let name = format_child(number, MAPPINGS, good);
            assert_eq!(aliased(&name, MAPPINGS), Ok((number, good)));
        }
        let refused = NameError::Aliased { collection: MAPPINGS };
        for bad in ["", "a b", "é", "x/y", &"x".repeat(64)] {
            assert_eq!(
                aliased(&format_child(number, MAPPINGS, bad), MAPPINGS),
                Err(refused.clone()),
                "{bad}"
            );
        }
        assert_eq!(aliased("accounts/7/shadows/a", MAPPINGS), Err(refused.clone()));
        assert_eq!(
            refused.to_string(),
            "must be accounts/{number}/mappings/{alias}, such as accounts/1234/mappings/braze_users"
        );
    }
}
