//! When to look for what is left of jobs that are no more, and of which of them it is certain.
//!
//! Jobs and what is known of their files are two tables, each as old as it is: a job whose files are known here may be new. It is one no
//! more if it is still not there once everything is known that anybody had wanted when it was looked first.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

/// How often it is looked without a reason.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What was found when it was looked last.
pub(super) struct Leftover {
    jobs: BTreeSet<String>,
    looked: Instant,
    soon: bool,
}

impl Leftover {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            jobs: BTreeSet::new(),
            looked: now,
            soon: false,
        }
    }

    /// A job has just been deleted.
    pub(super) fn deleted(&mut self) {
        self.soon = true;
    }

    /// Whether to look. `known`: all jobs that there were by then are known.
    pub(super) fn is_due(&self, known: Option<Instant>, now: Instant) -> bool {
        let is_certain = !self.jobs.is_empty() && known > Some(self.looked);
        self.soon || is_certain || now.duration_since(self.looked) >= LOOK_EVERY
    }

    /// It was looked, and something is left of these, which are not there: those of them that are no more.
    pub(super) fn found(&mut self, jobs: BTreeSet<String>, known: Option<Instant>, now: Instant) -> Vec<String> {
        let is_certain = known > Some(self.looked);
        let gone = jobs.intersection(&self.jobs).filter(|_| is_certain).cloned().collect();
        (self.jobs, self.looked, self.soon) = (jobs, now, false);
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_job_is_no_more_if_it_is_not_there_when_all_is_known_that_was_wanted_before() {
        let begun = Instant::now();
        let at = |seconds| begun + Duration::from_secs(seconds);
        let mut leftover = Leftover::new(begun);
        assert!(!leftover.is_due(Some(at(9)), at(10)), "nothing is left of any");
        leftover.deleted();
        assert!(leftover.is_due(None, at(10)));
        assert_eq!(leftover.found(jobs(&["old", "new"]), Some(at(9)), at(10)), [""; 0]);
        assert!(!leftover.is_due(Some(at(10)), at(11)), "no more is known than before");
        assert_eq!(leftover.found(jobs(&["old", "new"]), Some(at(10)), at(11)), [""; 0]);
        assert!(leftover.is_due(Some(at(12)), at(13)));
        // The other one is there now.
        assert_eq!(leftover.found(jobs(&["old"]), Some(at(12)), at(13)), ["old"]);
        assert_eq!(leftover.found(jobs(&[]), Some(at(14)), at(15)), [""; 0]);
        assert!(!leftover.is_due(Some(at(16)), at(17)));
        assert!(leftover.is_due(None, at(75)), "now and then it is looked anyway");
    }
}
