//! What is next for a job whose files Braze writes, and what is written of an export.

use std::collections::HashSet;

use control::{ImportJob, SegmentFiles};
use jiff::Timestamp;
use proto::imports::v1::JobProgress;

use super::Found;
use super::listing::{FILES_MAX, WRITES_MAX, progress};
use crate::imports::export::{self, Standing, Step, export_of};
use crate::imports::progress::Write;
use crate::imports::view::JobView;

/// What is next, if the job is neither paused nor killed, and its bounces are followed. `listing` is what [`Step::List`] asked for.
pub(crate) fn of_segment(
    job: &ImportJob,
    files: &SegmentFiles,
    view: &JobView,
    listing: Option<&[Found]>,
    now: Timestamp,
) -> Step {
    // Of many files: asked for only while it is not known what Braze has called the export.
    let is_taken = |export: &str| {
        let mut known = view.files.values().filter_map(|file| file.newest());
        known.any(|file| export_of(&file.key) == Some(export))
    };
    let standing = Standing {
        segment_id: &files.segment_id,
        schedule: job.schedule.as_ref(),
        progress: &view.job,
        callback: view.callback.as_ref(),
        listing,
        taken: &is_taken,
    };
    export::step(&standing, now)
}

/// What the coordinator writes of an export: its files, and at last that the job is so far. If there are many files it is asked several
/// times. Nothing, if somebody else has written meanwhile.
pub(crate) fn exported(view: &JobView, before: &JobProgress, files: &[Found], after: &JobProgress) -> Vec<Write> {
    if view.job != *before {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let new: Vec<_> = files
        .iter()
        .map(|file| (file.id(), file))
        .filter(|(id, _)| !view.files.contains_key(id) && seen.insert(*id))
        .collect();
    // Each export has a folder of its own, so none of an earlier one is listed again.
    let too_many = (view.files.len() + new.len()).saturating_sub(FILES_MAX);
    let done = view.in_order().into_iter().filter(|(_, file)| file.is_done());
    let mut writes: Vec<_> = done
        .take(too_many.min(WRITES_MAX))
        .map(|(id, _)| Write::Forget(id))
        .collect();
    let found = new.iter().zip(view.next_number()..).take(WRITES_MAX);
    writes.extend(found.map(|((id, file), number)| Write::Found(*id, progress(file, number))));
    if new.len() <= WRITES_MAX {
        writes.push(Write::Job(after.clone()));
    }
    writes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imports::plan::tests::{at, write};

    fn files(count: usize) -> Vec<Found> {
        let found = |number| Found {
            key: format!("segment-export/s/2026-07-01/e-1/{number:04}.gz"),
            etag: "e".to_owned(),
            size: 10,
            modified: at(0),
        };
        (0..count).map(found).collect()
    }

    #[test]
    fn an_export_of_many_files_is_over_when_all_are_written_down() {
        let (mut view, files) = (JobView::default(), files(2_500));
        let after = JobProgress {
            looks: 1,
            ..JobProgress::default()
        };
        let mut rounds = 0;
        while view.job != after {
            let writes = exported(&view, &JobProgress::default(), &files, &after);
            assert!(!writes.is_empty());
            write(&mut view, writes);
            rounds += 1;
        }
        assert_eq!((rounds, view.files.len()), (3, 2_500));
    }

    #[test]
    fn whoever_was_frozen_writes_nothing_of_an_export() {
        let mut view = JobView::default();
        view.job.looks = 1;
        assert_eq!(exported(&view, &JobProgress::default(), &files(1), &view.job), []);
    }
}
