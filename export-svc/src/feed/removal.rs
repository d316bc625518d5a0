//! Audiences that have left their job, or whose job is killed, and whose slug is removed from their members.
//!
//! Such an audience is a feed of its own: it reads the topic from its beginning to where that ended when the removal began, and hands
//! every enter on as a remove. An exit is handed on, too, unless the job had sent it before. So each enter that the topic still has costs
//! one update at most, and nobody need remember who is a member. Nothing is added any more from the moment when the feed begins; what
//! the job had in flight then is known to `batch` and `order`, as after a reset. After a crash it waits until nothing that an earlier
//! owner has sent can take effect any more.
//!
//! That it is done is part of its progress, and stays there: only then another job may export the audience to the same place.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use control::ExportJob;
use model::Action;
use proto::export::v1::{FeedProgress, PartitionOffset, RemovalProgress};

use super::{Feed, FeedId, Feeds, JobSet};
use crate::clock::Time;
use crate::positions::Positions;
use crate::settle;

/// How far the removal of a feed's slug is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Removing {
    /// By partition, up to where the job had sent every exit.
    left: Vec<i64>,
    /// Where each partition ended after the removal began; `None` before that is known.
    until: Option<Vec<i64>>,
    /// Since when those ends are looked for.
    since: Time,
    done: bool,
}

impl Removing {
    /// The removal of an audience from a job, if it has left that. `known`: how far it is; `before`: where the job stood in it.
    pub(super) fn of(
        job: &ExportJob,
        slug: &str,
        partitions: usize,
        (known, before): (Option<&FeedProgress>, Option<&FeedProgress>),
        now: Time,
    ) -> Option<Self> {
        job.removal(slug)?;
        if let Some(written) = known.and_then(|known| known.removal.as_ref()) {
            let until = (!written.until.is_empty()).then(|| offsets(partitions, &written.until));
            // While the ends are not known they are asked for anew.
            let since = written.since.filter(|_| until.is_some());
            return Some(Self {
                left: offsets(partitions, &written.left),
                until,
                since: since.map_or(now, settle::from_timestamp),
                done: written.done,
            });
        }
        // Only of such a job every exit before where it stood has been sent.
        let sends_all = job.existing_users && job.events.include(Action::Exit) && job.resets.is_empty();
        let before = before.filter(|_| sends_all);
        let stood = before.map(|before| Positions::restore(partitions, &before.positions));
        let read_from = |partition| stood.as_ref().map_or(0, |stood| stood.read_from(partition));
        Some(Self {
            left: (0..).take(partitions).map(read_from).collect(),
            until: None,
            since: now,
            done: false,
        })
    }

    /// The same, or over. `is_over`: a job exports the audience to the same place by now.
    pub(super) fn or_is_over(mut self, is_over: bool) -> Self {
        self.done |= is_over;
        self
    }

    /// Whether a record must be handed on as a remove.
    pub(super) fn wants(&self, enters: bool, partition: i32, offset: i64) -> bool {
        offset < self.until(partition) && (enters || offset >= at(&self.left, partition))
    }

    /// Where it ends in a partition, if that is known.
    pub(super) fn until(&self, partition: i32) -> i64 {
        self.until.as_ref().map_or(0, |until| at(until, partition))
    }

    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Nothing is read for it: it is done, or it is not known how far it is to go.
    pub(crate) fn rests(&self) -> bool {
        self.done || self.until.is_none()
    }

    /// Writes it down.
    pub(super) fn write(&self, number: u64, progress: &mut FeedProgress) {
        progress.removal = Some(RemovalProgress {
            number,
            left: to_wire(&self.left),
            until: self.until.as_deref().map(to_wire).unwrap_or_default(),
            since: Some(settle::timestamp(self.since)),
            done: self.done,
        });
    }
}

fn at(offsets: &[i64], partition: i32) -> i64 {
    let index = usize::try_from(partition).ok();
    index.and_then(|index| offsets.get(index)).copied().unwrap_or(0)
}

fn offsets(partitions: usize, written: &[PartitionOffset]) -> Vec<i64> {
    let offset = |partition| written.iter().find(|written| written.partition == partition);
    let offsets = (0..).take(partitions).map(offset);
    offsets
        .map(|written| written.map_or(0, |written| written.offset))
        .collect()
}

fn to_wire(offsets: &[i64]) -> Vec<PartitionOffset> {
    let offsets = (0..).zip(offsets);
    offsets
        .map(|(partition, &offset)| PartitionOffset { partition, offset })
        .collect()
}

/// What becomes of a change that a feed is handed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Course {
    /// The slug is added, or removed.
    Sent { add: bool },
    /// It is not sent, and counted as omitted.
    Omitted,
    /// It names nobody at Braze, and is kept for that reason.
    Nameless,
    /// It is not sent, and counts as nothing.
    Passed,
}

impl JobSet {
    /// Which audiences are exported, and to where.
    pub(super) fn exported(&self) -> HashSet<(Cow<'_, str>, &str)> {
        let living = self.jobs.iter().filter(|job| !job.killed);
        let exported = living.flat_map(|job| job.audiences.iter().map(|slug| (job.place(), slug.as_str())));
        exported.collect()
    }
}

impl Feed {
    /// What becomes of a change. `is_named`: it has an identifier.
    pub(crate) fn course(&self, action: Action, partition: i32, offset: i64, is_named: bool) -> Course {
        let enters = action == Action::Enter;
        match &self.removing {
            Some(removing) if !removing.wants(enters, partition, offset) => Course::Passed,
            // The job has kept it, and nobody has the slug.
            Some(_) if !is_named => Course::Omitted,
            Some(_) => Course::Sent { add: false },
            None if !self.job.events.include(action) => Course::Omitted,
            None if !is_named => Course::Nameless,
            None => Course::Sent { add: enters },
        }
    }

    /// Its slug is removed from those whom the topic, which begins at `first` by now, still tells of: of the others nobody knows.
    pub(super) fn go_on_without(&mut self, partition: i32, first: i64) {
        tracing::warn!(
            "{}, audience {}: partition {partition} of the membership topic begins at {first} by now, so whoever only records \
             before that told of keeps the slug",
            self.job_name,
            self.slug
        );
        self.positions.passed(partition, first);
    }

    /// Where it stands, for whoever removes its slug.
    pub(super) fn left(&self) -> FeedProgress {
        FeedProgress {
            positions: self.positions.written(|_| 0),
            reset: self.reset,
            ..FeedProgress::default()
        }
    }

    /// The slug of its audience is removed, and nothing is left to be done.
    pub(crate) fn has_removed(&self) -> bool {
        self.removing.as_ref().is_some_and(Removing::is_done)
    }
}

impl Feeds {
    /// Since when a removal waits to be told where the topic ends.
    pub(crate) fn ends_wanted(&self) -> Option<Time> {
        let removals = self.feeds.values().filter_map(|feed| feed.removing.as_ref());
        removals
            .filter(|removing| removing.until.is_none() && !removing.done)
            .map(|removing| removing.since)
            .max()
    }

    /// The ends of the partitions as they were at `asked` or later: so far go the removals that had begun by then.
    pub(crate) fn remove_until(&mut self, ends: &[i64], asked: Time) {
        let mut begins = false;
        for (id, feed) in self.feeds.iter_mut() {
            let waits = |removing: &&mut Removing| removing.until.is_none() && removing.since <= asked;
            if let Some(removing) = feed.removing.as_mut().filter(waits) {
                removing.until = Some(ends.to_vec());
                self.dirty.insert(id);
                begins = true;
            }
        }
        if begins {
            self.look_again(ends);
            self.serve();
        }
    }

    /// Removals that have come to their ends, of which everything is settled, are done, and given back. One that took longer than the
    /// topic keeps every record goes on to what is its end by now: in place of an enter that it has still to read, compaction may have
    /// left a record behind the end.
    pub(crate) fn end_removals(&mut self, kept_for: Option<Duration>, now: Time) -> Vec<FeedId> {
        let at_end = |feed: &Feed| {
            let goes_on = feed.removing.as_ref().is_some_and(|removing| !removing.rests());
            goes_on && feed.positions.open_len() == 0 && self.left_of_pass(feed) == 0
        };
        let ending = self.feeds.iter().filter(|(_, feed)| at_end(feed));
        let mut ended: Vec<_> = ending.map(|(id, _)| id).collect();
        if ended.is_empty() {
            return ended;
        }
        self.detach(&ended);
        ended.retain(|id| {
            let feed = self.feeds.get_mut(*id);
            let Some((positions, removing)) =
                feed.and_then(|feed| Some((&mut feed.positions, feed.removing.as_mut()?)))
            else {
                return false;
            };
            let lasted = now.since(removing.since);
            removing.done = !kept_for.is_some_and(|kept| !kept.is_zero() && lasted >= kept);
            if !removing.done {
                let until = removing.until.take().unwrap_or_default();
                positions.go_to(&(0..).zip(until).collect::<Vec<_>>());
                removing.since = now;
            }
            removing.done
        });
        self.serve();
        ended
    }
}

#[cfg(test)]
mod tests {
    use proto::export::v1::PartitionPosition;

    use super::*;

    fn job() -> ExportJob {
        let mut job = crate::plan::tests::job(true);
        job.removals = vec![control::Removal {
            number: 3,
            audiences: vec!["vip".to_owned()],
        }];
        job
    }

    fn stood(next: i64, open: &[i64]) -> FeedProgress {
        FeedProgress {
            positions: vec![PartitionPosition {
                partition: 1,
                next,
                open: open.to_vec(),
                ..PartitionPosition::default()
            }],
            ..FeedProgress::default()
        }
    }

    #[test]
    fn each_enter_is_a_remove_and_each_exit_that_the_job_may_not_have_sent() {
        let now = Time::from_millis(7);
        assert_eq!(Removing::of(&job(), "news", 2, (None, None), now), None);
        let mut removing = Removing::of(&job(), "vip", 2, (None, Some(&stood(10, &[6]))), now).unwrap();
        assert!(removing.rests() && !removing.wants(true, 1, 0), "its end is not known");
        removing.until = Some(vec![0, 20]);
        assert!(!removing.rests());
        let wanted = |enters| {
            (0..25)
                .filter(|offset| removing.wants(enters, 1, *offset))
                .collect::<Vec<_>>()
        };
        assert_eq!(wanted(true), (0..20).collect::<Vec<_>>());
        assert_eq!(wanted(false), (6..20).collect::<Vec<_>>());
        assert!(!removing.wants(true, 0, 0), "there was nothing");
        let all = Removing::of(&job(), "vip", 2, (None, None), now).unwrap();
        assert_eq!(all.left, [0, 0], "nobody knows what the job had sent");
        let enters = ExportJob {
            events: control::AudienceEvents::Enters,
            ..job()
        };
        let without_existing = ExportJob {
            existing_users: false,
            ..job()
        };
        for job in [enters, without_existing] {
            let removing = Removing::of(&job, "vip", 2, (None, Some(&stood(10, &[]))), now).unwrap();
            assert_eq!(removing.left, [0, 0], "it may have left some out");
        }
    }

    #[test]
    fn it_goes_on_as_it_was_written_down() {
        let mut removing = Removing::of(&job(), "vip", 2, (None, Some(&stood(10, &[]))), Time::from_millis(7)).unwrap();
        for (until, since, done) in [
            (None, 99, false),
            (Some(vec![3, 20]), 7, false),
            (Some(vec![3, 20]), 7, true),
        ] {
            (removing.until, removing.done) = (until, done);
            let mut progress = FeedProgress::default();
            removing.write(3, &mut progress);
            let restored = Removing::of(&job(), "vip", 2, (Some(&progress), None), Time::from_millis(99));
            let expected = Removing {
                since: Time::from_millis(since),
                ..removing.clone()
            };
            assert_eq!(restored, Some(expected));
        }
    }
}
