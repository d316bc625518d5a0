//! A change of audience membership, checked.

mod wire;

use std::collections::HashMap;

use proto::membership::v1::{MembershipAction, MembershipChange};
use smallvec::SmallVec;

pub use self::wire::Malformed;
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

/// A profile entered or left an audience. It lies where it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership<'a> {
    /// Account of the audience.
    pub account: AccountNumber,
    /// Slug of the audience.
    pub audience: &'a str,
    /// The profile.
    pub profile_id: &'a str,
    /// Entered or left.
    pub action: Action,
    /// Profile fields that identifiers are chosen from.
    pub fields: Fields<'a>,
    /// Those fields before this change: all of them, or those that differ.
    pub previous_fields: Fields<'a>,
}

/// Fields of a profile: a few texts by name.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a>(SmallVec<[(&'a str, &'a str); 4]>);

impl<'a> Fields<'a> {
    /// The value of a field. Of a name that comes twice the last one counts.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.0.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        let within = |one: &Self, other: &Self| one.0.iter().all(|(name, _)| one.get(name) == other.get(name));
        within(self, other) && within(other, self)
    }
}

impl Eq for Fields<'_> {}

impl<'a> From<&'a HashMap<String, String>> for Fields<'a> {
    fn from(fields: &'a HashMap<String, String>) -> Self {
        fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(fields: I) -> Self {
        Self(fields.into_iter().collect())
    }
}

/// Why a record's value is no membership.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The bytes say nothing.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// What they say is wrong.
    #[error(transparent)]
    Invalid(#[from] MembershipError),
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

impl<'a> Membership<'a> {
    /// Reads the value of a record.
    ///
    /// # Errors
    /// [`ReadError`] if it is none, or one of its fields is wrong.
    pub fn read(value: &'a [u8]) -> Result<Self, ReadError> {
        Ok(Self::checked(wire::Change::read(value)?)?)
    }

    fn checked(change: wire::Change<'a>) -> Result<Self, MembershipError> {
        let action = match MembershipAction::try_from(change.action) {
            Ok(MembershipAction::Enter) => Action::Enter,
            Ok(MembershipAction::Exit) => Action::Exit,
            Ok(MembershipAction::Unspecified) | Err(_) => return Err(MembershipError::Action),
        };
        text::slug(change.audience_slug).map_err(MembershipError::Audience)?;
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

impl<'a> TryFrom<&'a MembershipChange> for Membership<'a> {
    type Error = MembershipError;

    fn try_from(change: &'a MembershipChange) -> Result<Self, MembershipError> {
        Self::checked(wire::Change {
            account: change.account,
            audience_slug: &change.audience_slug,
            profile_id: &change.profile_id,
            action: change.action,
            fields: Fields::from(&change.fields),
            previous_fields: Fields::from(&change.previous_fields),
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
    use prost::Message;

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
        let change = change();
        let value = change.encode_to_vec();
        let membership = Membership::try_from(&change).unwrap();
        assert_eq!(membership.account.get(), 1234);
        assert_eq!(membership.action, Action::Enter);
        assert_eq!(membership.fields.get("user_id"), Some("cust-1"));
        assert_eq!(Membership::read(&value), Ok(membership));
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
            let value = change.encode_to_vec();
            let error = Membership::try_from(&change).unwrap_err();
            assert!(error.to_string().starts_with(field), "{error}");
            assert_eq!(Membership::read(&value), Err(ReadError::Invalid(error)));
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
