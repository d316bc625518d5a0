//! Resource names: `accounts/{number}` and `accounts/{number}/{collection}/{id}`.

use crate::account::{AccountNumber, ParseAccountError};

/// Collection of authorizations under an account.
pub const AUTHORIZATIONS: &str = "authorizations";
/// Collection of export jobs under an account.
pub const EXPORT_JOBS: &str = "exportJobs";
/// Collection of API tokens under an account.
pub const API_TOKENS: &str = "apiTokens";

/// Bound of an id, in bytes.
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
    let parsed = (|| {
        let (parent, id) = name.rsplit_once('/')?;
        let parent = parent.strip_suffix(collection)?.strip_suffix('/')?;
        Some((account(parent).ok()?, is_id(id).then_some(id)?))
    })();
    parsed.ok_or(NameError::Child { collection })
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
}
