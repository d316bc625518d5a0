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
pub(crate) struct TooMany {
    /// Who has left within the hour.
    exits: u64,
    /// Members before that.
    before: u64,
}

impl TooMany {
    /// In words, for whoever is to confirm it.
    pub(crate) fn reason(self, slug: &str, percent: u32) -> String {
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
pub(crate) fn uncountable(slug: &str, problem: &str) -> String {
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
        if feed.job.guard.is_off() || offset < feed.positions.next(partition) {
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

    /// Feeds whose members must be counted, with their audiences and where they stand in each partition.
    pub(crate) fn to_count(&self) -> Vec<(FeedId, String, Vec<i64>)> {
        let counting = self.feeds.iter().filter(|(_, feed)| feed.guard.counts());
        let stands = |feed: &Feed| -> Vec<i64> {
            let partitions = (0..).take(self.partitions);
            partitions.map(|partition| feed.positions.next(partition)).collect()
        };
        counting
            .map(|(id, feed)| (id, feed.slug.to_string(), stands(feed)))
            .collect()
    }

    /// So many members there are where a feed stands, or nobody can tell, for this reason. Gives back why its job is paused, if
    /// it is with that: all of its feeds are held, and given back, too.
    pub(crate) fn counted(
        &mut self,
        id: FeedId,
        members: Result<u64, &str>,
        now: Time,
    ) -> Option<(Vec<FeedId>, String)> {
        let feed = self.get_mut(id).filter(|feed| feed.guard.counts())?;
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
        let of_job = self.feeds.iter().filter(|(_, feed)| feed.job_name == job);
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
mod tests {
    use super::*;

    fn at(minutes: i64) -> Time {
        Time::from_millis(minutes * 60_000)
    }

    /// How many exits are let through at that time, one after the other, of at most `most`.
    fn admitted(guard: &mut Guard, percent: u32, most: u64, now: Time) -> u64 {
        (0..most)
            .take_while(|_| {
                let admitted = guard.admit(percent, now);
                if admitted {
                    guard.leaves();
                }
                admitted
            })
            .fold(0, |count, _| count + 1)
    }

    #[test]
    fn before_anybody_has_counted_as_many_leave_as_may_of_the_smallest_audience_and_then_it_is_counted() {
        for (percent, first) in [(20, 20), (1, 1), (50, 50), (99, 99)] {
            let mut guard = Guard::none(0);
            assert_eq!(admitted(&mut guard, percent, 1_000, at(0)), first, "{percent} %");
            assert!(guard.counts() && guard.stops() && guard.held().is_none());
        }
    }

    #[test]
    fn of_a_thousand_two_hundred_leave_within_an_hour_and_no_more_however_the_exits_are_spread() {
        for spread in [0, 1, 50] {
            let mut guard = Guard::none(0);
            assert_eq!(admitted(&mut guard, 20, 1_000, at(0)), 20);
            assert_eq!(guard.counted(980, 20, at(0)), None);
            assert_eq!(admitted(&mut guard, 20, 180, at(spread)), 180);
            assert_eq!(admitted(&mut guard, 20, 1, at(spread)), 0);
            let too_many = guard.counted(800, 20, at(spread)).unwrap();
            assert_eq!(
                too_many,
                TooMany {
                    exits: 200,
                    before: 1_000
                }
            );
            let reason = too_many.reason("vip", 20);
            for told in ["vip", "1000", "200", "20 %", "jobs resume --confirm"] {
                assert!(reason.contains(told), "{told}: {reason}");
            }
        }
    }

    #[test]
    fn what_left_more_than_an_hour_ago_does_not_count_and_is_forgotten() {
        let mut guard = Guard::none(0);
        for begin in [0, 180, 360] {
            assert_eq!(guard.counted(250, 20, at(begin)), None);
            for minute in begin..begin + 50 {
                assert_eq!(admitted(&mut guard, 20, 1, at(minute)), 1, "minute {minute}");
            }
            assert_eq!(admitted(&mut guard, 20, 1, at(begin + 50)), 0);
            assert_eq!(guard.exits.len(), 50);
            assert_eq!(guard.in_window(at(begin + 60)), 49);
            assert_eq!(guard.in_window(at(begin + 109)), 0);
        }
        assert!(guard.exits.is_empty());
    }

    #[test]
    fn members_are_not_counted_again_while_what_left_since_leaves_enough() {
        let mut guard = Guard::none(0);
        assert_eq!(admitted(&mut guard, 20, 21, at(0)), 20);
        assert_eq!(guard.counted(1_000, 20, at(0)), None);
        // 100 in an hour, for five hours: 480 are left of a thousand.
        for hour in 1..6 {
            assert_eq!(admitted(&mut guard, 20, 100, at(hour * 60)), 100, "hour {hour}");
        }
        // 20 % of 500, of whom nobody knows but that they are no fewer.
        assert_eq!(admitted(&mut guard, 20, 1_000, at(360)), 100);
        assert!(guard.counts());
        assert_eq!(guard.counted(900, 20, at(360)), None, "others had come");
        assert_eq!(admitted(&mut guard, 20, 1_000, at(360)), 100);
        assert_eq!(
            guard.counted(800, 20, at(360)),
            Some(TooMany {
                exits: 200,
                before: 1_000
            })
        );
    }

    #[test]
    fn an_audience_of_less_than_a_hundred_is_not_guarded_and_one_of_a_hundred_is() {
        let mut small = Guard::none(0);
        assert_eq!(admitted(&mut small, 20, 99, at(0)), 20);
        assert_eq!(small.counted(79, 20, at(0)), None);
        for (exits, members) in [(40, 59), (60, 39), (80, 19)] {
            assert_eq!(admitted(&mut small, 20, 1_000, at(1)), 20);
            assert_eq!(small.counted(members, 20, at(1)), None, "{exits} have left");
        }
        // One of them was none, who can tell.
        assert_eq!(admitted(&mut small, 20, 1_000, at(1)), 20);
        let hundredth = TooMany {
            exits: 100,
            before: 100,
        };
        assert_eq!(small.counted(0, 20, at(1)), Some(hundredth));
        let mut hundred = Guard::none(0);
        assert_eq!(admitted(&mut hundred, 20, 99, at(0)), 20);
        assert!(hundred.counted(80, 20, at(0)).is_some());
    }

    #[test]
    fn what_it_knows_survives_being_written_down_also_by_a_clock_that_was_ahead() {
        let mut guard = Guard::none(3);
        assert_eq!(admitted(&mut guard, 20, 15, at(100)), 15);
        guard.members = Some(7);
        guard.hold = Some(Hold::Confirm("because".to_owned()));
        let written = |guard: &Guard| {
            let mut progress = FeedProgress::default();
            guard.write(&mut progress);
            progress
        };
        let mut restored = Guard::restore(&written(&guard));
        assert_eq!(restored, guard);
        assert_eq!((restored.held(), restored.confirms()), (Some("because"), 3));
        restored.hold = None;
        restored.members = None;
        assert_eq!(admitted(&mut restored, 20, 100, at(70)), 5);
        assert_eq!(restored.exits.len(), 1);
        // Whoever counts is asked again.
        guard.hold = Some(Hold::Counting);
        assert!(!Guard::restore(&written(&guard)).stops());
    }
}
