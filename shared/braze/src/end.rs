//! The words for how a call ended, and for what Braze said of each object.

use std::time::Duration;

/// How a call ended. `verdicts` has one entry per object of the request, in its order.
///
/// `split` means that Braze refused something without saying which object: send the objects whose verdict is
/// [`Verdict::Retry`] again in smaller requests, down to one object, where the refusal names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Braze has queued the request (2xx); single objects may still be refused.
    Accepted {
        /// What Braze said of each object.
        verdicts: Vec<Verdict>,
        /// See [`End`].
        split: bool,
    },
    /// Nothing of the request was or will be applied.
    Refused {
        /// Why, and so what to do next.
        refusal: Refusal,
        /// What Braze said of each object: rejected for good, or to be sent again.
        verdicts: Vec<Verdict>,
        /// See [`End`].
        split: bool,
        /// For operators: Braze's words without our key.
        message: String,
    },
    /// The request may have been applied, or may still be: it timed out, the connection broke after the body was handed
    /// to it, the answer was 5xx, 408 or 425, or a 2xx or 400 could not be read. Every object is to be sent again.
    Unknown {
        /// The status of the answer, if one arrived.
        status: Option<u16>,
        /// For operators: what happened, or Braze's words without our key.
        message: String,
    },
}

/// Why nothing of a request was processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The body never left this process: no name resolved, no connection, no TLS. Back off.
    NotSent,
    /// 401 or 403, or (without a status) a key that is no HTTP header: the authorization is broken. Stop until it changes.
    Unauthorized {
        /// The status of the answer, if the key could be sent at all.
        status: Option<u16>,
    },
    /// 429. Freeze the budget for `retry_after`, else back off (from 1 s, doubled, full jitter, at most 60 s).
    RateLimited {
        /// The wait that Braze asks for, 0 s to 3,600 s.
        retry_after: Option<Duration>,
    },
    /// 413, or a 400 that says so: split.
    TooLarge,
    /// 400 "Max Input Length Exceeded": split, and put fewer objects into one request from now on.
    TooManyObjects,
    /// 400 in which the objects are refused one by one: act on the verdicts.
    Objects,
    /// 400 about the request as a whole: split.
    Malformed,
    /// Anything else, such as 404 (wrong address), 415, a redirect, or a 400 in words that are not Braze's. Stop, and look
    /// again later: a repeat would end the same way, and it says nothing about the objects.
    Other {
        /// The status of the answer.
        status: u16,
    },
}

/// What Braze said of one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Queued.
    Accepted,
    /// Refused, and would be refused again.
    Rejected {
        /// The kind of fault, for metrics and the rejected topic.
        reason: Reason,
        /// Braze's own words, without our key.
        message: String,
    },
    /// Not processed, or not known to be: send it again. Repeats are harmless for array additions and removals.
    Retry {
        /// Braze's own words about this object, without our key, if it said anything. They are none of the faults known
        /// to be permanent, so the caller decides how often to try.
        message: Option<String>,
    },
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
    /// A value of the object breaks one of Braze's rules.
    Value,
    /// Braze could not use the request that held this object alone.
    Unusable,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Identifier,
        Self::ExternalIdTooLong,
        Self::Blocked,
        Self::Value,
        Self::Unusable,
    ];

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
