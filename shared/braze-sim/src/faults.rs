//! Faults on demand: what goes wrong with the next calls of an endpoint, `POST /users/track` unless told otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::fmt::serde::unsigned_duration::friendly::compact as duration_text;
use rand::Rng;
use serde::{Deserialize, Serialize};

/// One thing that goes wrong, and how often. Of several armed faults, the one armed first that strikes is used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// How many calls it strikes before it is used up; absent = until cleared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<u64>,
    /// The share of calls that it strikes, 0 to 1; absent = every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// The path whose calls it strikes; absent = `/users/track`, or `/users/export/segment` for a kind that only an export knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The key whose calls it strikes; absent = every key's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// What goes wrong with a call that a fault strikes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum FaultKind {
    /// The answer is this status: 429, 500, 502, 503, 504. The call has no effect, unless `apply_after` is set.
    Status {
        /// The HTTP status.
        status: u16,
        /// For 429: how long the client is told to wait; absent = 1 s.
        #[serde(default, with = "duration_text::optional", skip_serializing_if = "Option::is_none")]
        retry_after: Option<Duration>,
        /// The call is applied all the same, this long after it was read.
        #[serde(default, with = "duration_text::optional", skip_serializing_if = "Option::is_none")]
        apply_after: Option<Duration>,
    },
    /// The call is carried out at once, and answered this much later.
    Delay {
        /// How much later.
        #[serde(with = "duration_text::required")]
        by: Duration,
        /// How long after it was read the call is applied; absent = the usual delay.
        #[serde(default, with = "duration_text::optional", skip_serializing_if = "Option::is_none")]
        apply_after: Option<Duration>,
    },
    /// The connection is closed before the body is read; the call has no effect.
    // Braces, because an unknown member beside a bare name would not be noticed; likewise for `Hold`.
    DropBefore {},
    /// The call is carried out, and the connection closed in place of the answer.
    DropAfter {
        /// How long after it was read the call is applied; absent = the usual delay.
        #[serde(default, with = "duration_text::optional", skip_serializing_if = "Option::is_none")]
        apply_after: Option<Duration>,
    },
    /// The call is read and then held until released; it is carried out even if the client has left by then.
    Hold {},
    /// The export is made, and nobody is called back.
    NoCallback {},
    /// The export is made, and its callback is called twice.
    TwoCallbacks {},
    /// The last file of the export is written this long after the callback.
    LateFile {
        /// How much later.
        #[serde(with = "duration_text::required")]
        by: Duration,
    },
    /// The first file of the export is cut off in its middle.
    BrokenFile {},
}

impl Fault {
    /// A fault of this kind that strikes every call until cleared.
    pub fn new(kind: FaultKind) -> Self {
        Self {
            kind,
            next: None,
            rate: None,
            path: None,
            key: None,
        }
    }

    /// Answers with `status`, without effect.
    pub fn status(status: u16) -> Self {
        Self::new(FaultKind::Status {
            status,
            retry_after: None,
            apply_after: None,
        })
    }

    /// Answers `by` later.
    pub fn delay(by: Duration) -> Self {
        Self::new(FaultKind::Delay { by, apply_after: None })
    }

    /// Closes the connection before the body is read.
    pub fn drop_before() -> Self {
        Self::new(FaultKind::DropBefore {})
    }

    /// Carries the call out and closes the connection in place of the answer.
    pub fn drop_after() -> Self {
        Self::new(FaultKind::DropAfter { apply_after: None })
    }

    /// Holds calls until [`SimHandle::release`](crate::SimHandle::release).
    pub fn hold() -> Self {
        Self::new(FaultKind::Hold {})
    }

    /// The same fault, with a call that takes effect `after` it was read although it ends badly for the client.
    /// Without meaning for [`FaultKind::DropBefore`] and [`FaultKind::Hold`].
    #[must_use]
    pub fn applied_after(mut self, after: Duration) -> Self {
        if let FaultKind::Status { apply_after, .. }
        | FaultKind::Delay { apply_after, .. }
        | FaultKind::DropAfter { apply_after } = &mut self.kind
        {
            *apply_after = Some(after);
        }
        self
    }

    /// The same fault, for the next `calls` calls that it strikes.
    #[must_use]
    pub fn next(self, calls: u64) -> Self {
        Self {
            next: Some(calls),
            ..self
        }
    }

    /// The same fault, striking this share of calls.
    #[must_use]
    pub fn at_rate(self, rate: f64) -> Self {
        Self {
            rate: Some(rate),
            ..self
        }
    }

    /// The same fault, for calls of this path: `/users/export/segment`, `/segments/list` or `/users/export/ids`.
    #[must_use]
    pub fn on(self, path: impl Into<String>) -> Self {
        Self {
            path: Some(path.into()),
            ..self
        }
    }

    fn path(&self) -> &str {
        match (&self.path, &self.kind) {
            (Some(path), _) => path,
            (
                None,
                FaultKind::NoCallback {}
                | FaultKind::TwoCallbacks {}
                | FaultKind::LateFile { .. }
                | FaultKind::BrokenFile {},
            ) => "/users/export/segment",
            (None, _) => "/users/track",
        }
    }

    /// The same fault, for calls with this key only.
    #[must_use]
    pub fn for_key(self, key: impl Into<String>) -> Self {
        Self {
            key: Some(key.into()),
            ..self
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let after = match self {
            Self::Status {
                status, apply_after, ..
            } => {
                write!(f, "status {status}")?;
                apply_after
            }
            Self::Delay { by, apply_after } => {
                write!(f, "delay {by:?}")?;
                apply_after
            }
            Self::DropBefore {} => return f.write_str("drop before reading"),
            Self::DropAfter { apply_after } => {
                f.write_str("drop after processing")?;
                apply_after
            }
            Self::Hold {} => return f.write_str("hold"),
            Self::NoCallback {} => return f.write_str("no callback"),
            Self::TwoCallbacks {} => return f.write_str("two callbacks"),
            Self::LateFile { by } => return write!(f, "last file {by:?} late"),
            Self::BrokenFile {} => return f.write_str("broken file"),
        };
        after.map_or(Ok(()), |after| write!(f, ", applied after {after:?}"))
    }
}

/// The armed faults and the external ids whose objects are refused.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    armed: Vec<Fault>,
    refused: Arc<BTreeMap<String, String>>,
}

impl Faults {
    pub(crate) fn arm(&mut self, fault: Fault) {
        self.armed.push(fault);
    }

    pub(crate) fn armed(&self) -> &[Fault] {
        &self.armed
    }

    pub(crate) fn refuse(&mut self, external_id: String, text: String) {
        Arc::make_mut(&mut self.refused).insert(external_id, text);
    }

    pub(crate) fn refused(&self) -> &Arc<BTreeMap<String, String>> {
        &self.refused
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }

    /// The fault that strikes the call of this path with this key that arrives now, if any.
    pub(crate) fn strike(&mut self, path: &str, key: Option<&str>, random: &mut impl Rng) -> Option<FaultKind> {
        let at = self.armed.iter().position(|fault| {
            fault.path() == path
                && (fault.key.is_none() || fault.key.as_deref() == key)
                && fault.rate.is_none_or(|rate| random.random::<f64>() < rate)
        })?;
        let fault = self.armed.get_mut(at)?;
        let kind = fault.kind.clone();
        if let Some(left) = &mut fault.next {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.armed.remove(at);
            }
        }
        Some(kind)
    }
}
