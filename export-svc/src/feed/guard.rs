//! The guard of a feed: before more than a share of an audience's members would be removed within an hour, its job pauses itself.
//!
//! What counts are *exits* that the feed is handed and that would be sent, by the minute, for an hour: what was counted survives a
//! restart, because it is part of the feed's progress, as are its positions. How many members there were tells nobody but the
//! topic, so they are counted, by reading it up to where the feed stands, when it matters: not before the exits of an hour would be
//! too many for the smallest audience that is guarded, and not again before they would be too many for the members counted last,
//! less all that left since. While they are counted the feed stays before the exit.
//!
//! Not the guard's business are exits that were there when the job began, or when somebody let it go on elsewhere, or when somebody
//! confirmed.

use std::collections::VecDeque;
use std::time::Duration;

use proto::export::v1::{FeedProgress, GuardProgress, MinuteOfExits};

use super::{Feed, FeedId, Feeds};
use crate::clock::Time;

/// An audience of fewer members is not guarded: a few people may well leave it together.
const MEMBERS_MIN: u64 = 100;
const WINDOW_MINUTES: i64 = 60;
const WINDOW: Duration = Duration::from_secs(3_600);

/// What the guard of a feed knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Guard {
    /// (minute since 1970, exits), ascending: at most 60.
    exits: VecDeque<(i64, u64)>,
    /// Members where the feed stands: no more than there are.
    members: Option<u64>,
    /// When they were counted last, and how many exits in an hour were all right by that.
    allowed: Option<(Time, u64)>,
    hold: Option<Hold>,
    /// How often somebody had confirmed when it last began anew because of that.
    confirms: u64,
}

/// Why the feed stays where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Hold {
    /// The members are to be counted.
    Counting,
    /// For this reason, until somebody confirms.
    Confirm(String),
}

impl Guard {
    /// Of a feed that is new to its job.
    pub(super) fn none(confirms: u64) -> Self {
        Self {
            confirms,
            ..Self::default()
        }
    }

    /// Of a feed that comes to a job which has others: what holds these holds it, too.
    pub(super) fn beside(&self) -> Self {
        Self {
            hold: self.hold.clone().filter(|hold| *hold != Hold::Counting),
            ..Self::none(self.confirms)
        }
    }

    /// As it was written down.
    pub(super) fn restore(progress: &FeedProgress) -> Self {
        let Some(progress) = &progress.guard else {
            return Self::default();
        };
        let exits = progress.exits.iter();
        Self {
            exits: exits.map(|minute| (minute.minute, minute.exits)).collect(),
            members: progress.members,
            allowed: None,
            hold: (!progress.held.is_empty()).then(|| Hold::Confirm(progress.held.clone())),
            confirms: progress.confirms,
        }
    }

    /// Writes it down.
    pub(super) fn write(&self, progress: &mut FeedProgress) {
        let exits = self.exits.iter();
        progress.guard = Some(GuardProgress {
            exits: exits.map(|&(minute, exits)| MinuteOfExits { minute, exits }).collect(),
            members: self.members,
            held: self.held().unwrap_or_default().to_owned(),
            confirms: self.confirms,
        });
    }

    /// Why it waits for somebody to confirm, if it does.
    pub(crate) fn held(&self) -> Option<&str> {
        match &self.hold {
            Some(Hold::Confirm(reason)) => Some(reason),
            _ => None,
        }
    }

    /// Why it waits, if it does so for nobody.
    pub(super) fn waits(&self) -> Option<&'static str> {
        self.counts()
            .then_some("many leave its audience: the members are counted before more are removed")
    }

    /// The feed is not to be served.
    pub(super) fn stops(&self) -> bool {
        self.hold.is_some()
    }

    /// It waits until its members have been counted.
    pub(super) fn counts(&self) -> bool {
        self.hold == Some(Hold::Counting)
    }

    /// See [`Guard::confirms`].
    pub(crate) fn confirms(&self) -> u64 {
        self.confirms
    }

    /// Exits of the last hour.
    fn in_window(&mut self, now: Time) -> u64 {
        let minute = minute(now);
        while self.exits.front().is_some_and(|(at, _)| *at <= minute - WINDOW_MINUTES) {
            self.exits.pop_front();
        }
        self.exits.iter().map(|(_, exits)| exits).sum()
    }

    /// Whether one more exit may be sent, which is counted then; if not, the members must be counted first.
    fn admit(&mut self, percent: u32, now: Time) -> bool {
        let exits = self.in_window(now);
        let members = self.members.map_or(0, |members| share(percent, members + exits));
        let fresh = self.allowed.filter(|(counted, _)| now.since(*counted) < WINDOW);
        let allowed = fresh.map_or(0, |(_, allowed)| allowed);
        if exits >= share(percent, MEMBERS_MIN).max(members).max(allowed) {
            self.hold = Some(Hold::Counting);
            return false;
        }
        let minute = minute(now);
        match self.exits.back_mut() {
            // Also if another machine's clock was ahead.
            Some((last, exits)) if *last >= minute => *exits += 1,
            _ => self.exits.push_back((minute, 1)),
        }
        true
    }

    /// The feed goes on elsewhere, or members leave uncounted: how many there were says nothing any more.
    pub(super) fn forget_members(&mut self) {
        (self.members, self.allowed) = (None, None);
        if self.counts() {
            self.hold = None;
        }
    }

    /// An exit is handed to the feed, whosever business it is.
    fn leaves(&mut self) {
        self.members = self.members.map(|members| members.saturating_sub(1));
    }

    /// So many members there are where the feed stands. Whether that is too few for the next exit.
    fn counted(&mut self, members: u64, percent: u32, now: Time) -> Option<TooMany> {
        let exits = self.in_window(now);
        let before = members + exits;
        self.members = Some(members);
        self.hold = None;
        let allowed = if before < MEMBERS_MIN {
            // Others may still be read for, or come.
            exits + share(percent, MEMBERS_MIN)
        } else {
            share(percent, before)
        };
        self.allowed = Some((now, allowed));
        (exits >= allowed).then_some(TooMany { exits, before })
    }
}

/// More would leave than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct TooMany {
    /// Who has left within the hour.
    exits: u64,
    /// Members before that.
    before: u64,
}

impl TooMany {
    /// In words, for whoever is to confirm it.
    fn reason(self, slug: &str, percent: u32) -> String {
        let Self { exits, before } = self;
        format!(
            "the guard has paused it: audience {slug} had {before} members an hour ago, {exits} of them have left, and more would \
             be removed than its {percent} %; {CONFIRM}"
        )
    }
}

/// How a job goes on that the guard has paused.
const CONFIRM: &str = "find out why they leave, then let it go on with all exits that are there by then: `export-svc jobs resume \
                       --confirm`, or `confirm` of ResumeExportJob";

/// Nobody can tell how many members an audience has.
fn uncountable(slug: &str, problem: &str) -> String {
    format!("the guard has paused it: how many members audience {slug} has is not known ({problem}); {CONFIRM}")
}

fn minute(time: Time) -> i64 {
    time.as_millis().div_euclid(60_000)
}

fn share(percent: u32, of: u64) -> u64 {
    let share = u128::from(of) * u128::from(percent) / 100;
    u64::try_from(share).unwrap_or(u64::MAX)
}

impl Feed {
    /// Whether an exit was there before somebody wanted what the feed does now.
    fn is_history(&self, partition: i32, offset: i64, written: Option<Time>) -> bool {
        let confirmed = self.job.guard.confirmed.into_iter();
        let resets = self.job.resets.iter();
        let gone_through = resets.filter(|reset| reset.number <= self.reset && reset.is_about(&self.slug));
        let mut wanted = gone_through.map(|reset| reset.time).chain(confirmed);
        let before =
            |time: jiff::Timestamp| written.is_some_and(|written| written <= Time::from_millis(time.as_millisecond()));
        offset < self.start(partition) || wanted.any(before)
    }
}

impl Feeds {
    /// Whether a feed may be handed an exit that would be sent; if not, it is detached before it, and its members must be counted.
    pub(crate) fn admit_exit(
        &mut self,
        id: FeedId,
        partition: i32,
        offset: i64,
        written: Option<Time>,
        now: Time,
    ) -> bool {
        let Some(feed) = self.get_mut(id) else { return true };
        // One that is handed again was counted then.
        if offset < feed.positions.next(partition) {
            return true;
        }
        if feed.job.guard.is_off() {
            feed.guard.forget_members();
            return true;
        }
        let percent = feed.job.guard.percent;
        if !feed.is_history(partition, offset, written) && !feed.guard.admit(percent, now) {
            self.detach(&[id]);
            self.serve();
            return false;
        }
        feed.guard.leaves();
        true
    }

    /// Feeds whose members must be counted, with how often they were moved, their audiences and where they stand in each partition.
    pub(crate) fn to_count(&self) -> Vec<((FeedId, u32), String, Vec<i64>)> {
        let counting = self.feeds.iter().filter(|(_, feed)| feed.guard.counts());
        let stands = |feed: &Feed| -> Vec<i64> {
            let partitions = (0..).take(self.partitions);
            partitions.map(|partition| feed.positions.next(partition)).collect()
        };
        counting
            .map(|(id, feed)| ((id, feed.moves), feed.slug.to_string(), stands(feed)))
            .collect()
    }

    /// So many members there are where a feed stands, or nobody can tell, for this reason. Gives back why its job is paused, if
    /// it is with that: all of its feeds are held, and given back, too.
    pub(crate) fn counted(
        &mut self,
        (id, moves): (FeedId, u32),
        members: Result<u64, &str>,
        now: Time,
    ) -> Option<(Vec<FeedId>, String)> {
        // Of one that goes on elsewhere since then nothing is known.
        let feed = self
            .get_mut(id)
            .filter(|feed| feed.guard.counts() && feed.moves == moves)?;
        let percent = feed.job.guard.percent;
        let reason = match members {
            Ok(members) => feed
                .guard
                .counted(members, percent, now)
                .map(|too| too.reason(&feed.slug, percent)),
            Err(problem) => Some(uncountable(&feed.slug, problem)),
        };
        let Some(reason) = reason else {
            self.serve();
            return None;
        };
        let job = feed.job_name.clone();
        let is_its = |feed: &Feed| feed.job_name == job && feed.removing.is_none();
        let of_job = self.feeds.iter().filter(|(_, feed)| is_its(feed));
        let of_job: Vec<_> = of_job.map(|(id, _)| id).collect();
        for id in &of_job {
            if let Some(feed) = self.get_mut(*id) {
                feed.guard.hold = Some(Hold::Confirm(reason.clone()));
            }
        }
        self.detach(&of_job);
        self.serve();
        Some((of_job, reason))
    }

    /// Lets feeds go on whose jobs' guards have been confirmed or turned off.
    pub(crate) fn let_go(&mut self) {
        let lets_go = |feed: &Feed| {
            let behind = feed.guard.confirms < feed.job.guard.confirms;
            behind || (feed.guard.stops() && feed.job.guard.is_off())
        };
        let going = self.feeds.iter().filter(|(_, feed)| lets_go(feed));
        let going: Vec<_> = going.map(|(id, _)| id).collect();
        for id in &going {
            if let Some(feed) = self.get_mut(*id) {
                feed.guard = Guard {
                    members: feed.guard.members,
                    ..Guard::none(feed.job.guard.confirms)
                };
            }
        }
        if !going.is_empty() {
            self.serve();
        }
    }
}

#[cfg(test)]
mod tests;
