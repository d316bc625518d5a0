//! One verdict per object, from every shape of answer.

/// What Braze said of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Queued by Braze.
    Accepted,
    /// Refused, and would be refused again.
    Rejected {
        /// The kind of fault, for metrics and the rejected topic.
        reason: Reason,
        /// Braze's own words, without our key.
        message: String,
    },
    /// Not processed, or not known to be: send it again.
    Retry,
}

/// Why an object is rejected for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No identifier, or more than one.
    Identifier,
    /// The external id is longer than [`EXTERNAL_ID_BYTES_MAX`](crate::EXTERNAL_ID_BYTES_MAX).
    ExternalIdTooLong,
    /// Braze has blocked this external id.
    Blocked,
    /// A value of the object breaks a rule of Braze's.
    Value,
    /// Braze cannot use the request that held only this object.
    Unusable,
}

impl Reason {
    /// A short constant name, for labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identifier => "identifier",
            Self::ExternalIdTooLong => "external_id_too_long",
            Self::Blocked => "blocked",
            Self::Value => "value",
            Self::Unusable => "unusable",
        }
    }
}
