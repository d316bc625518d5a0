//! A change of audience membership, checked.

mod wire;

use std::collections::HashMap;

use proto::membership::v1::{MembershipAction, MembershipChange};

use self::wire::Entries;
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
    /// The profile: UTF-8, but nobody here reads it.
    pub profile_id: &'a [u8],
    /// Entered or left.
    pub action: Action,
    /// Profile fields that identifiers are chosen from.
    pub fields: Fields<'a>,
    /// Those fields before this change: all of them, or those that differ.
    pub previous_fields: Fields<'a>,
}

/// Fields of a profile: a few texts by name.
#[derive(Debug, Clone)]
pub struct Fields<'a>(Listed<'a>);

#[derive(Debug, Clone)]
enum Listed<'a> {
    /// As they were received.
    Entries(Entries<'a>),
    Pairs(Vec<(&'a [u8], &'a [u8])>),
}

impl<'a> Fields<'a> {
    /// The value of a field; none if it is no UTF-8. Of a name that comes twice the last one counts.
    #[inline(always)]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.find(name.as_bytes());
        found.and_then(|value| std::str::from_utf8(value).ok())
    }

    #[inline(always)]
    fn find(&self, name: &[u8]) -> Option<&'a [u8]> {
        match &self.0 {
            Listed::Entries(entries) => entries.find(name),
            Listed::Pairs(pairs) => {
                let found = pairs.iter().rev().find(|(known, _)| *known == name);
                found.map(|(_, value)| *value)
            }
        }
    }

    fn each(&self, mut see: impl FnMut(&'a [u8], &'a [u8])) {
        match &self.0 {
            Listed::Entries(entries) => entries.iter().for_each(|(name, value)| see(name, value)),
            Listed::Pairs(pairs) => pairs.iter().for_each(|(name, value)| see(name, value)),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Listed::Entries(entries) => entries.is_empty(),
            Listed::Pairs(pairs) => pairs.is_empty(),
        }
    }
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        let within = |one: &Self, other: &Self| {
            let mut all = true;
            one.each(|name, _| all &= one.find(name) == other.find(name));
            all
        };
        within(self, other) && within(other, self)
    }
}

impl Eq for Fields<'_> {}

impl<'a> From<Entries<'a>> for Fields<'a> {
    fn from(entries: Entries<'a>) -> Self {
        Self(Listed::Entries(entries))
    }
}

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
        let bytes = |(name, value): (&'a str, &'a str)| (name.as_bytes(), value.as_bytes());
        Self(Listed::Pairs(fields.into_iter().map(bytes).collect()))
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
    /// Reads the value of a record. `known`: the audience that it is most likely to be, of which the caller knows that it is a good
    /// slug.
    ///
    /// # Errors
    /// [`ReadError`] if it is none, or one of its fields is wrong.
    #[inline(always)]
    pub fn read(value: &'a [u8], known: Option<&'a str>) -> Result<Self, ReadError> {
        let change = wire::Change::read(value)?;
        let audience = wire::text(change.audience_slug, known)?;
        let profile_id = wire::opaque(change.profile_id)?;
        // It is that very text then, and not only the same.
        let good = known.is_some_and(|known| std::ptr::eq(known, audience));
        let fields = (change.fields.into(), change.previous_fields.into());
        Ok(Self::checked(
            change.account,
            audience,
            good,
            profile_id,
            change.action,
            fields,
        )?)
    }

    #[inline(always)]
    fn checked(
        account: u64,
        audience: &'a str,
        good_slug: bool,
        profile_id: &'a [u8],
        action: i32,
        (fields, previous_fields): (Fields<'a>, Fields<'a>),
    ) -> Result<Self, MembershipError> {
        let action = match MembershipAction::try_from(action) {
            Ok(MembershipAction::Enter) => Action::Enter,
            Ok(MembershipAction::Exit) => Action::Exit,
            Ok(MembershipAction::Unspecified) | Err(_) => return Err(MembershipError::Action),
        };
        if !good_slug {
            text::slug(audience).map_err(MembershipError::Audience)?;
        }
        if text::is_blank(profile_id) {
            return Err(MembershipError::Profile);
        }
        Ok(Self {
            account: AccountNumber::new(account).ok_or(MembershipError::Account)?,
            audience,
            profile_id,
            action,
            fields,
            previous_fields,
        })
    }
}

impl<'a> TryFrom<&'a MembershipChange> for Membership<'a> {
    type Error = MembershipError;

    fn try_from(change: &'a MembershipChange) -> Result<Self, MembershipError> {
        let fields = (Fields::from(&change.fields), Fields::from(&change.previous_fields));
        let (audience, profile) = (&change.audience_slug, &change.profile_id);
        Self::checked(
            change.account,
            audience,
            false,
            profile.as_bytes(),
            change.action,
            fields,
        )
    }
}

/// Key of a change in the membership topic: the newest record of a key is the profile's membership now.
pub fn membership_key(audience_slug: &str, profile_id: &str) -> String {
    format!("{audience_slug}/{profile_id}")
}

/// Audience slug and profile id of a [`membership_key`], as they are: whoever looks for them or compares them needs no UTF-8.
/// `None` if `key` is not one. Only the slug is free of `/`.
#[inline]
pub fn parse_membership_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let separator = memchr::memchr(b'/', key)?;
    let (slug, profile_id) = (&key[..separator], &key[separator + 1..]);
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
        for known in [None, Some("vip"), Some("a")] {
            assert_eq!(Membership::read(&value, known).as_ref(), Ok(&membership), "{known:?}");
        }
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
            assert_eq!(Membership::read(&value, Some("vip")), Err(ReadError::Invalid(error)));
        }
    }

    #[test]
    fn a_key_gives_back_slug_and_profile_even_if_the_profile_holds_a_slash() {
        let key = membership_key("vip", "site/42");
        assert_eq!(key, "vip/site/42");
        assert_eq!(
            parse_membership_key(key.as_bytes()),
            Some((&b"vip"[..], &b"site/42"[..]))
        );
        for bad in [&b"vip"[..], b"/42", b"vip/", b""] {
            assert_eq!(parse_membership_key(bad), None);
        }
    }
}
