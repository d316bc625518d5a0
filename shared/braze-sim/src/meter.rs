//! What a customer would pay: data points (reference §3.9).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The data points that were used in a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Meter {
    /// All of them.
    pub data_points: u64,
    /// One per attribute key written per object, changed or not.
    pub attribute_writes: u64,
    /// The attribute writes by attribute.
    pub by_attribute: BTreeMap<String, u64>,
    /// One per custom event.
    pub events: u64,
    /// One per purchase.
    pub purchases: u64,
}

impl Meter {
    pub(crate) fn attribute(&mut self, name: &str) {
        self.data_points += 1;
        self.attribute_writes += 1;
        *self.by_attribute.entry(name.to_owned()).or_default() += 1;
    }

    pub(crate) fn event(&mut self) {
        self.data_points += 1;
        self.events += 1;
    }

    pub(crate) fn purchase(&mut self) {
        self.data_points += 1;
        self.purchases += 1;
    }
}
