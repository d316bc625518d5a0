//! The members of a JSON object, each as it was written, without building a tree of values.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

/// The members of an object, in its order.
#[derive(Default)]
pub(crate) struct Members<'r>(Vec<(Name<'r>, &'r RawValue)>);

/// Borrowed unless something in it is escaped.
#[derive(Deserialize)]
struct Name<'r>(#[serde(borrow)] Cow<'r, str>);

impl<'r> Members<'r> {
    /// Those of a value, if it is an object.
    pub(crate) fn of(value: &'r RawValue) -> Option<Self> {
        serde_json::from_str(value.get()).ok()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'r RawValue)> {
        self.0.iter().map(|(name, value)| (&*name.0, *value))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'r RawValue> {
        let (_, value) = self.iter().find(|(other, _)| *other == name)?;
        Some(value)
    }

    /// A member that is a text and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        text(self.get(name)?)
    }

    /// The same, of the object itself, of its `user` or of its `properties`.
    pub(crate) fn text_within(&self, name: &str) -> Option<String> {
        let inner = |object: &&str| Self::of(self.get(object)?)?.text(name);
        self.text(name)
            .or_else(|| ["user", "properties"].iter().find_map(inner))
    }
}

/// A text that is not empty.
pub(crate) fn text(value: &RawValue) -> Option<String> {
    let text: String = serde_json::from_str(value.get()).ok()?;
    (!text.is_empty()).then_some(text)
}

impl<'r> Deserialize<'r> for Members<'r> {
    fn deserialize<D: Deserializer<'r>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'r> Visitor<'r> for Collect {
            type Value = Members<'r>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'r>>(self, mut map: A) -> Result<Members<'r>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Collect)
    }
}

/// A JSON object that is put together from members as they were written.
#[derive(Default)]
pub(crate) struct Object(String);

impl Object {
    pub(crate) fn push(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        // A text always is JSON.
        self.0.push_str(&serde_json::to_string(name).unwrap_or_default());
        self.0.push(':');
        self.0.push_str(value);
    }

    /// Has the members of another one, too, behind its own.
    pub(crate) fn with(mut self, other: Self) -> Self {
        match (self.0.is_empty(), other.0.strip_prefix('{')) {
            (true, _) => return other,
            (false, Some(members)) => {
                self.0.push(',');
                self.0.push_str(members);
            }
            (false, None) => {}
        }
        self
    }

    /// Adds an object, unless it has no members.
    pub(crate) fn push_object(&mut self, name: &str, object: Self) {
        let object = object.finish();
        if !object.is_empty() {
            self.push(name, &object);
        }
    }

    /// Empty if it has no members.
    pub(crate) fn finish(mut self) -> String {
        if !self.0.is_empty() {
            self.0.push('}');
        }
        self.0
    }
}

impl<'m> FromIterator<(&'m str, &'m RawValue)> for Object {
    fn from_iter<I: IntoIterator<Item = (&'m str, &'m RawValue)>>(members: I) -> Self {
        let mut object = Self::default();
        for (name, value) in members {
            object.push(name, value.get());
        }
        object
    }
}
