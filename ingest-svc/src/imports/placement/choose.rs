//! Which files are read next, so that no job waits for another's many.

use std::collections::BTreeMap;

use crate::imports::id::FileId;

/// Chooses up to `room` files, each of the job that has the fewest readers, and of several the one that was given one longest ago.
/// `served` is in which order they were given any.
pub(super) fn choose(
    candidates: BTreeMap<String, Vec<FileId>>,
    mut at_work: BTreeMap<String, usize>,
    served: &mut BTreeMap<String, u64>,
    room: usize,
) -> Vec<(String, FileId)> {
    let mut left: BTreeMap<_, _> = candidates
        .into_iter()
        .map(|(job, files)| (job, files.into_iter()))
        .collect();
    let mut chosen = Vec::new();
    while chosen.len() < room {
        left.retain(|_, files| !files.as_slice().is_empty());
        let rank = |job: &String| (at_work.get(job).copied(), served.get(job).copied());
        let Some(job) = left.keys().min_by_key(|job| rank(job)).cloned() else {
            break;
        };
        let Some(file) = left.get_mut(&job).and_then(Iterator::next) else {
            break;
        };
        let turn = served.values().max().copied().unwrap_or_default() + 1;
        served.insert(job.clone(), turn);
        *at_work.entry(job.clone()).or_default() += 1;
        chosen.push((job, file));
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(count: u64) -> Vec<FileId> {
        (0..count).map(|file| FileId::of("key", "", file)).collect()
    }

    fn jobs(chosen: &[(String, FileId)]) -> Vec<&str> {
        chosen.iter().map(|(job, _)| job.as_str()).collect()
    }

    #[test]
    fn a_job_of_many_files_leaves_room_for_one_of_few() {
        let candidates = BTreeMap::from([("many".to_owned(), files(100)), ("one".to_owned(), files(1))]);
        let chosen = choose(candidates, BTreeMap::new(), &mut BTreeMap::new(), 4);
        assert_eq!(jobs(&chosen), ["many", "one", "many", "many"]);
        assert_eq!(chosen[2].1, files(2)[1], "of a job in their order");
    }

    #[test]
    fn whoever_reads_already_comes_last() {
        let candidates = BTreeMap::from([("a".to_owned(), files(9)), ("b".to_owned(), files(9))]);
        let at_work = BTreeMap::from([("a".to_owned(), 3)]);
        let chosen = choose(candidates, at_work, &mut BTreeMap::new(), 2);
        assert_eq!(jobs(&chosen), ["b", "b"]);
    }

    #[test]
    fn with_one_reader_for_all_they_take_turns() {
        let mut served = BTreeMap::new();
        let turns: Vec<_> = (0..4)
            .flat_map(|_| {
                let candidates = BTreeMap::from([("a".to_owned(), files(9)), ("b".to_owned(), files(9))]);
                choose(candidates, BTreeMap::new(), &mut served, 1)
            })
            .collect();
        assert_eq!(jobs(&turns), ["a", "b", "a", "b"]);
    }
}
