//! A change of audience membership, checked.

use std::collections::HashMap;

use proto::membership::v1::{MembershipAction, MembershipChange};

use crate::account::AccountNumber;
use crate::text;

/// What happened to the membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// The profile is a member now.
    Enter,
    /// The profile is no member any more.
    Exit,
}

/// A profile entered or left an audience.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// Account of the audience.
    pub account: AccountNumber,
    /// Slug of the audience.
    pub audience: String,
    /// The profile.
    pub profile_id: String,
    /// Entered or left.
    pub action: Action,
    /// Profile fields that identifiers are chosen from.
    pub fields: HashMap<String, String>,
    /// Those fields before this change: all of them, or those that differ.
    pub previous_fields: HashMap<String, String>,
}

/// Which field of a change is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// No account has the number 0.
    #[error("account must not be 0")]
    Account,
    /// The slug cannot be written to Braze, or cannot stand in the key.
    #[error("audience_slug {0}")]
    Audience(text::TextError),
    /// Nobody is named.
    #[error("profile_id must not be blank")]
    Profile,
    /// Neither enter nor exit.
    #[error("action must be MEMBERSHIP_ACTION_ENTER or MEMBERSHIP_ACTION_EXIT")]
    Action,
}

impl TryFrom<MembershipChange> for Membership {
    type Error = MembershipError;

    fn try_from(change: MembershipChange) -> Result<Self, MembershipError> {
        let action = match change.action() {
            MembershipAction::Enter => Action::Enter,
            MembershipAction::Exit => Action::Exit,
            MembershipAction::Unspecified => return Err(MembershipError::Action),
        };
        text::slug(&change.audience_slug).map_err(MembershipError::Audience)?;
        if change.profile_id.trim().is_empty() {
            return Err(MembershipError::Profile);
        }
        Ok(Self {
            account: AccountNumber::new(change.account).ok_or(MembershipError::Account)?,
            audience: change.audience_slug,
            profile_id: change.profile_id,
            action,
            fields: change.fields,
            previous_fields: change.previous_fields,
        })
    }
}

/// Key of a change in the membership topic: the newest record of a key is the profile's membership now.
pub fn membership_key(audience_slug: &str, profile_id: &str) -> String {
    format!("{audience_slug}/{profile_id}")
}

/// Audience slug and profile id of a [`membership_key`]; `None` if `key` is not one. Only the slug is free of `/`.
pub fn parse_membership_key(key: &[u8]) -> Option<(&str, &str)> {
    let (slug, profile_id) = std::str::from_utf8(key).ok()?.split_once('/')?;
    (!slug.is_empty() && !profile_id.is_empty()).then_some((slug, profile_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change() -> MembershipChange {
        MembershipChange {
            account: 1234,
            audience_slug: "vip".into(),
            profile_id: "42".into(),
            action: MembershipAction::Enter.into(),
            fields: HashMap::from([("user_id".into(), "cust-1".into())]),
            ..MembershipChange::default()
        }
    }

    #[test]
    fn a_good_change_is_taken_over_with_its_fields() {
        let membership = Membership::try_from(change()).unwrap();
        assert_eq!(membership.account.get(), 1234);
        assert_eq!(membership.action, Action::Enter);
        assert_eq!(membership.fields["user_id"], "cust-1");
    }

    #[test]
    fn what_is_wrong_names_its_field() {
        type Spoil = fn(&mut MembershipChange);
        let cases: [(&str, Spoil); 4] = [
            ("account", |change| change.account = 0),
            ("audience_slug", |change| change.audience_slug = "a/b".into()),
            ("profile_id", |change| change.profile_id = " ".into()),
            ("action", |change| change.action = 7),
        ];
        for (field, spoil) in cases {
            let mut change = change();
            spoil(&mut change);
            let error = Membership::try_from(change).unwrap_err().to_string();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn a_key_gives_back_slug_and_profile_even_if_the_profile_holds_a_slash() {
        let key = membership_key("vip", "site/42");
        assert_eq!(key, "vip/site/42");
        assert_eq!(parse_membership_key(key.as_bytes()), Some(("vip", "site/42")));
        for bad in [&b"vip"[..], b"/42", b"vip/", b"", b"\xff/42"] {
            assert_eq!(parse_membership_key(bad), None);
        }
    }
}
