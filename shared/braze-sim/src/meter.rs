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
