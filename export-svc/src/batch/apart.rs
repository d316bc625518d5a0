//! Objects that hold several attributes of one user: what Braze refuses because of one of them does not take the others along.
//!
//! Braze names the object, not the attribute. So the object is taken apart: its changes are sent again, those of one attribute at
//! a time, and only that one is refused which is at fault.

use braze::{Reason, Verdict};

use super::{Batch, ChangeId};

impl<T> Batch<T> {
    /// Whether an object with these changes, to which Braze has said so, is to be taken apart.
    pub(super) fn is_taken_apart(&self, verdict: &Verdict, changes: &[ChangeId]) -> bool {
        let may_be_an_attributes = match verdict {
            Verdict::Accepted | Verdict::Retry { message: None } => false,
            Verdict::Retry { message: Some(_) } => true,
            // The others are the user's.
            Verdict::Rejected { reason, .. } => matches!(reason, Reason::Value | Reason::Unusable),
        };
        let attribute = |change: &ChangeId| self.slugs.attribute(self.changes[*change].slug);
        may_be_an_attributes && changes.iter().any(|change| attribute(change) != attribute(&changes[0]))
    }
}
