//! Finding, creating and changing users (reference §3.2–3.4).

use foldhash::HashMap;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::{Alias, Happening, User, UserRef, values};
use crate::meter::Meter;
use crate::settings::Settings;
use crate::track::{Accepted, Array, Identity};

/// Profile fields with a meaning of their own, in lower case only.
const RESERVED: [&str; 20] = [
    "country",
    "current_location",
    "date_of_first_session",
    "date_of_last_session",
    "dob",
    "email",
    "email_click_tracking_disabled",
    "email_open_tracking_disabled",
    "email_subscribe",
    "facebook",
    "first_name",
    "gender",
    "home_city",
    "language",
    "last_name",
    "marked_email_as_spam_at",
    "phone",
    "push_subscribe",
    "time_zone",
    "twitter",
];
/// Reserved fields whose writing costs nothing: subscription states (reference §3.9).
const FREE: [&str; 2] = ["email_subscribe", "push_subscribe"];
/// Keys that name the user or steer the call, and fields that the simulator accepts without keeping them.
const NOT_STORED: [&str; 11] = [
    "_merge_objects",
    "_update_existing_only",
    "alias_label",
    "alias_name",
    "app_id",
    "braze_id",
    "external_id",
    "push_token_import",
    "push_tokens",
    "subscription_groups",
    "user_alias",
];

/// All users of a workspace, in order of creation, with their indexes and what their writes cost.
#[derive(Debug, Default)]
pub(crate) struct Users {
    profiles: Vec<Profile>,
    by_braze_id: HashMap<String, usize>,
    by_external_id: HashMap<String, usize>,
    by_alias: HashMap<Alias, usize>,
    by_email: HashMap<String, Vec<usize>>,
    by_phone: HashMap<String, Vec<usize>>,
    /// How many objects found or made their user so far.
    updates: u64,
    pub(crate) meter: Meter,
}

#[derive(Debug)]
struct Profile {
    user: User,
    /// The count of `updates` when it was last written.
    updated: u64,
    /// The latest arrival whose call was applied to it.
    last_arrival: u64,
}

/// The call whose objects are being applied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Applied {
    pub(crate) arrival: u64,
    pub(crate) now: Timestamp,
}

impl Users {
    pub(crate) fn get(&self, user: &UserRef) -> Option<&User> {
        let at = match user {
            UserRef::ExternalId(id) => self.by_external_id.get(id),
            UserRef::BrazeId(id) => self.by_braze_id.get(id),
            UserRef::Alias(alias) => self.by_alias.get(alias),
        };
        at.and_then(|at| self.profiles.get(*at)).map(|profile| &profile.user)
    }

    /// All from the `at`-th on, in order of creation.
    pub(crate) fn since(&self, at: usize) -> impl Iterator<Item = &User> {
        let profiles = self.profiles.get(at..).unwrap_or_default();
        profiles.iter().map(|profile| &profile.user)
    }

    /// Users with this e-mail address or phone number.
    pub(crate) fn sharing(&self, identity: &Identity) -> impl Iterator<Item = &User> {
        let found = match identity {
            Identity::Email(email) => self.by_email.get(email),
            Identity::Phone(phone) => self.by_phone.get(phone),
            _ => None,
        };
        found
            .into_iter()
            .flatten()
            .filter_map(|at| self.profiles.get(*at))
            .map(|profile| &profile.user)
    }

    /// Applies one object. Returns the later call that had already been applied to the same user, if any: this call was
    /// overtaken then.
    pub(crate) fn apply(&mut self, accepted: &Accepted, settings: &Settings, call: Applied) -> Option<u64> {
        let existing_only = accepted.object.get("_update_existing_only").and_then(Value::as_bool);
        let at = self
            .find(&accepted.identity)
            .or_else(|| self.create(&accepted.identity, existing_only, call.now))?;
        let profile = self.profiles.get_mut(at)?;
        self.updates += 1;
        profile.updated = self.updates;
        let overtaken_by = (profile.last_arrival > call.arrival).then_some(profile.last_arrival);
        profile.last_arrival = profile.last_arrival.max(call.arrival);
        match accepted.array {
            Array::Attributes => self.write(at, accepted, settings),
            Array::Events => {
                profile
                    .user
                    .custom_events
                    .push(happening(&accepted.object, "name", call.now));
                self.meter.event();
            }
            Array::Purchases => {
                profile
                    .user
                    .purchases
                    .push(happening(&accepted.object, "product_id", call.now));
                self.meter.purchase();
            }
        }
        overtaken_by
    }

    fn find(&self, identity: &Identity) -> Option<usize> {
        match identity {
            Identity::ExternalId(id) => self.by_external_id.get(id).copied(),
            Identity::BrazeId(id) => self.by_braze_id.get(id).copied(),
            Identity::Alias(alias) => self.by_alias.get(alias).copied(),
            Identity::Email(email) => self.choose(self.by_email.get(email)?),
            Identity::Phone(phone) => self.choose(self.by_phone.get(phone)?),
            Identity::Anonymous => None,
        }
    }

    /// Of several: the most recently updated one with an external id, else the most recently updated one.
    fn choose(&self, shared: &[usize]) -> Option<usize> {
        let rank = |at: &&usize| {
            self.profiles
                .get(**at)
                .map(|profile| (profile.user.external_id.is_some(), profile.updated))
        };
        shared.iter().max_by_key(rank).copied()
    }

    /// Creates the user if the rules of §3.3 let an unknown identifier make one.
    fn create(&mut self, identity: &Identity, existing_only: Option<bool>, now: Timestamp) -> Option<usize> {
        let creates = match identity {
            Identity::ExternalId(_) | Identity::Email(_) => existing_only != Some(true),
            Identity::Phone(phone) => existing_only != Some(true) && is_e164(phone),
            Identity::Alias(_) => existing_only == Some(false),
            Identity::BrazeId(_) | Identity::Anonymous => false,
        };
        if !creates {
            return None;
        }
        let at = self.profiles.len();
        let mut user = User {
            braze_id: format!("{:08x}{:016x}", now.as_second().rem_euclid(1 << 32), at + 1),
            ..User::default()
        };
        self.by_braze_id.insert(user.braze_id.clone(), at);
        match identity {
            Identity::ExternalId(id) => {
                user.external_id = Some(id.clone());
                self.by_external_id.insert(id.clone(), at);
            }
            Identity::Alias(alias) => {
                user.user_aliases.push(alias.clone());
                self.by_alias.insert(alias.clone(), at);
            }
            _ => {}
        }
        self.profiles.push(Profile {
            user,
            updated: 0,
            last_arrival: 0,
        });
        match identity {
            Identity::Email(email) => self.set_field(at, "email", Some(Value::from(email.clone()))),
            Identity::Phone(phone) => self.set_field(at, "phone", Some(Value::from(phone.clone()))),
            _ => {}
        }
        Some(at)
    }

    fn write(&mut self, at: usize, accepted: &Accepted, settings: &Settings) {
        let merge = accepted.object.get("_merge_objects") == Some(&Value::Bool(true));
        for (name, value) in &accepted.object {
            let names_the_user = match accepted.identity {
                Identity::Email(_) => name == "email",
                Identity::Phone(_) => name == "phone",
                _ => false,
            };
            if names_the_user || NOT_STORED.contains(&name.as_str()) {
                continue;
            }
            if RESERVED.contains(&name.as_str()) {
                if value.as_str().is_some_and(|text| text.chars().count() > 255) {
                    continue;
                }
                self.set_field(at, name, Some(value.clone()).filter(|value| !value.is_null()));
                if !FREE.contains(&name.as_str()) {
                    self.meter.attribute(name);
                }
            } else if let Some(profile) = self.profiles.get_mut(at)
                && values::write(&mut profile.user.custom_attributes, name, value, merge, settings)
            {
                self.meter.attribute(name.trim());
            }
        }
    }

    /// Sets or unsets a profile field, and keeps the indexes of e-mail and phone.
    fn set_field(&mut self, at: usize, name: &str, value: Option<Value>) {
        let Some(profile) = self.profiles.get_mut(at) else {
            return;
        };
        let index = match name {
            "email" => Some(&mut self.by_email),
            "phone" => Some(&mut self.by_phone),
            _ => None,
        };
        let new = value.as_ref().and_then(Value::as_str).map(str::to_owned);
        let old = match value {
            Some(value) => profile.user.fields.insert(name.to_owned(), value),
            None => profile.user.fields.remove(name),
        };
        let Some(index) = index else { return };
        if let Some(sharing) = old.as_ref().and_then(Value::as_str).and_then(|old| index.get_mut(old)) {
            sharing.retain(|other| *other != at);
        }
        if let Some(new) = new {
            index.entry(new).or_default().push(at);
        }
    }
}

/// `+` and up to fifteen digits.
fn is_e164(phone: &str) -> bool {
    phone.strip_prefix('+').is_some_and(|digits| {
        (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0')
    })
}

/// An event or a purchase as it is kept; a time in the future becomes now.
fn happening(object: &Map<String, Value>, name: &str, now: Timestamp) -> Happening {
    let text = |key: &str| object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let sent = text("time");
    let future = sent.parse::<Timestamp>().is_ok_and(|time| time > now);
    let rest = object
        .iter()
        .filter(|(key, _)| ![name, "time", "email", "phone"].contains(&key.as_str()))
        .filter(|(key, _)| !NOT_STORED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Happening {
        name: text(name),
        time: if future { now.to_string() } else { sent },
        rest,
    }
}
