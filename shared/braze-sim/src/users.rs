//! The users of one workspace, as everybody sees them; `store` keeps them, `values` knows attribute values, and
//! `exported` how exports show them.

mod exported;
mod store;
mod values;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub(crate) use exported::exported;
pub(crate) use store::{Applied, Users};

/// One user, in the shape of Braze's exports (reference §5.4).
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct User {
    /// Set by the simulator: 24 hexadecimal digits.
    pub braze_id: String,
    /// The customer's id, if the user has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// Further names, one per label.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub user_aliases: Vec<Alias>,
    /// Reserved profile fields such as `email` and `first_name`.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
    /// Everything else that was set.
    #[serde(default)]
    pub custom_attributes: Map<String, Value>,
    /// Every custom event, in order of application; never deduplicated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub custom_events: Vec<Happening>,
    /// Every purchase, in order of application; never deduplicated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub purchases: Vec<Happening>,
}

/// A user alias: unique in the workspace as a pair.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Alias {
    /// The name.
    pub alias_name: String,
    /// What kind of name.
    pub alias_label: String,
}

/// A custom event or a purchase of a user.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Happening {
    /// The event's name, or the product's id.
    pub name: String,
    /// When, as sent (a time in the future becomes the time of application).
    pub time: String,
    /// The other keys of the object.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// How to name a user in a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserRef {
    /// By the customer's id.
    ExternalId(String),
    /// By Braze's id.
    BrazeId(String),
    /// By an alias.
    Alias(Alias),
}

impl UserRef {
    /// The user with this external id.
    pub fn external_id(id: impl Into<String>) -> Self {
        Self::ExternalId(id.into())
    }

    /// The user with this Braze id.
    pub fn braze_id(id: impl Into<String>) -> Self {
        Self::BrazeId(id.into())
    }

    /// The user with this alias.
    pub fn alias(label: impl Into<String>, name: impl Into<String>) -> Self {
        Self::Alias(Alias {
            alias_name: name.into(),
            alias_label: label.into(),
        })
    }
}

impl fmt::Display for UserRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExternalId(id) => write!(f, "external_id {id:?}"),
            Self::BrazeId(id) => write!(f, "braze_id {id:?}"),
            Self::Alias(alias) => write!(f, "alias {:?} of label {:?}", alias.alias_name, alias.alias_label),
        }
    }
}

impl User {
    /// The texts of an array attribute, in their order; empty if it is absent or not an array.
    pub fn array(&self, attribute: &str) -> Vec<&str> {
        let values = self.custom_attributes.get(attribute).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}
