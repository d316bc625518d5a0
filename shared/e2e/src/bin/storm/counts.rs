//! Whether the jobs have counted what they were about.

use std::collections::HashMap;
use std::ops::RangeInclusive;

use proto::export::v1::ExportCounters;

use crate::log::Entry;
use crate::storm::Job;
use crate::world::{Audience, COMPACTED};

/// Jobs that have counted more or less than they were about.
pub(crate) fn miscounted(
    log: &[Entry],
    audiences: &[Audience],
    jobs: &[Job],
    counters: &HashMap<String, ExportCounters>,
) -> Vec<String> {
    let miscounted = jobs.iter().filter_map(|job| {
        let of_the_job = log.iter().filter(|entry| job.is_about(&audiences[entry.audience]));
        let counted = counted(job, &of_the_job.collect::<Vec<_>>());
        let counters = counters.get(&job.name).copied().unwrap_or_default();
        let settled = counters.added + counters.removed + counters.omitted + counters.rejected;
        let wanted = (!counted.contains(&settled)).then_some(counted)?;
        Some(format!("{}: {wanted:?} records, {counters:?}", job.name))
    });
    miscounted.collect()
}

/// How many records a job must have counted, at least and at most: each once, and what it went back for once more. Of those that have
/// been compacted away it may have read each, or none.
fn counted(job: &Job, log: &[&Entry]) -> RangeInclusive<u64> {
    let records = log.len() as u64;
    let written = if job.workspace == COMPACTED {
        written(log)
    } else {
        records
    };
    let least = if job.back.times == 0 {
        records
    } else {
        let is_behind = |entry: &&&Entry| entry.offset >= job.back.offsets.get(&entry.partition).copied().unwrap_or(0);
        job.back.counted + log.iter().filter(is_behind).count() as u64
    };
    least..=written * (1 + job.back.times)
}

/// How many records of the compacted topic there have ever been: the newest of a partition is always there.
fn written(log: &[&Entry]) -> u64 {
    let mut ends: HashMap<i32, i64> = HashMap::new();
    for entry in log {
        let end = ends.entry(entry.partition).or_default();
        *end = (*end).max(entry.offset + 1);
    }
    ends.values().sum::<i64>().unsigned_abs()
}

/// How many records have been compacted away.
pub(crate) fn compacted_away(log: &[Entry], audiences: &[Audience]) -> u64 {
    let of_it = log
        .iter()
        .filter(|entry| audiences[entry.audience].workspace == COMPACTED);
    let of_it: Vec<_> = of_it.collect();
    written(&of_it) - of_it.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::Back;
    use crate::world::{Export, User, audiences};

    fn entry(audience: usize, offset: i64) -> Entry {
        Entry {
            audience,
            user: User(1),
            enter: true,
            name: None,
            previous: None,
            partition: 0,
            offset,
            time: 0,
        }
    }

    /// A job of this kind, and records of its audience at these offsets.
    fn job(workspace: usize, export: Export, offsets: &[i64]) -> (Job, Vec<Entry>) {
        let job = Job {
            name: "job".to_owned(),
            workspace,
            export,
            back: Back::default(),
        };
        let audience = audiences().iter().position(|audience| job.is_about(audience)).unwrap();
        let log = offsets.iter().map(|offset| entry(audience, *offset)).collect();
        (job, log)
    }

    fn is_right(job: &Job, log: &[Entry], settled: u64) -> bool {
        let counters = ExportCounters {
            added: settled - 1,
            omitted: 1,
            ..ExportCounters::default()
        };
        let counters = HashMap::from([("job".to_owned(), counters)]);
        miscounted(log, &audiences(), std::slice::from_ref(job), &counters).is_empty()
    }

    #[test]
    fn every_record_is_counted_once() {
        let (job, log) = job(0, Export::Lasting, &[3, 5, 9]);
        let right: Vec<_> = (1..9).filter(|settled| is_right(&job, &log, *settled)).collect();
        assert_eq!(right, [3]);
    }

    #[test]
    fn a_job_that_went_back_counts_again_what_it_went_back_for() {
        let (mut job, log) = job(0, Export::Again, &[3, 5, 9]);
        job.back = Back {
            times: 1,
            offsets: [(0, 5)].into(),
            counted: 2,
        };
        let right: Vec<_> = (1..9).filter(|settled| is_right(&job, &log, *settled)).collect();
        assert_eq!(right, [4, 5, 6]);
    }

    #[test]
    fn what_is_compacted_away_may_have_been_counted() {
        let (job, log) = job(COMPACTED, Export::Again, &[1, 4]);
        assert_eq!(compacted_away(&log, &audiences()), 3);
        let right: Vec<_> = (1..9).filter(|settled| is_right(&job, &log, *settled)).collect();
        assert_eq!(right, [2, 3, 4, 5]);
    }
}
