//! What became of the records of a request, in memory that does not grow with them.

use super::envelope::{REJECTED_LISTED_MAX, Rejected};
use crate::publish::Outcome;

/// Counts outcomes in the order of the records.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// All of them.
    pub(super) records: usize,
    /// Those that the mapping does not want.
    pub(super) not_wanted: usize,
    /// Those that nobody can use.
    pub(super) rejected: usize,
    /// The first of those, at most [`REJECTED_LISTED_MAX`].
    pub(super) listed: Vec<Rejected>,
}

impl Tally {
    pub(super) fn add(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Published { .. } => {}
            Outcome::NotWanted => self.not_wanted += 1,
            Outcome::Rejected(refusal) => {
                self.rejected += 1;
                if self.listed.len() < REJECTED_LISTED_MAX {
                    self.listed.push(Rejected {
                        index: self.records,
                        reason: refusal.to_string(),
                    });
                }
            }
        }
        self.records += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::EventId;
    use crate::publish::Refusal;

    #[test]
    fn every_outcome_is_counted_and_the_first_refusals_are_listed_by_their_place() {
        let mut tally = Tally::default();
        let refused = || Outcome::Rejected(Refusal::TooLarge(7));
        tally.add(&Outcome::NotWanted);
        tally.add(&refused());
        tally.add(&Outcome::Published {
            event_id: EventId::default(),
        });
        for _ in 0..REJECTED_LISTED_MAX {
            tally.add(&refused());
        }
        assert_eq!(
            (tally.records, tally.not_wanted, tally.rejected, tally.listed.len()),
            (REJECTED_LISTED_MAX + 3, 1, REJECTED_LISTED_MAX + 1, REJECTED_LISTED_MAX)
        );
        assert_eq!((tally.listed[0].index, tally.listed[1].index), (1, 3));
    }
}
