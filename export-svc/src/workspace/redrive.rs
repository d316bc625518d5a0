//! Omitted changes of a job are sent again, one job at a time.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use model::{AccountNumber, parse_membership_key};
use proto::export::v1::rejected_change::Identifier;
use proto::export::v1::{ExportEvent, ExportLogEntry};

use super::{Origin, Workspace};
use crate::clock::Time;
use crate::consume;
use crate::deliver::{Deliverer, to_wire};
use crate::engine::sum;
use crate::feed::{Feed, FeedId};
use crate::positions::Part;
use crate::redrive::{self, Counts, Found, Reading, Run, Told};
use crate::settle;

/// How long to wait before what could not be read is read again.
const AGAIN_AFTER: Duration = Duration::from_secs(10);

impl Workspace {
    /// Begins with the next redrive that is asked for, if none is going on. Not while calls of a predecessor may still take effect.
    pub(crate) fn begin_redrive(&mut self, kafka: &kafka::Config, deliverer: &Deliverer, now: Time) {
        if self.redrive.is_some() || self.takeover.is_some() || now < self.redrive_from {
            return;
        }
        let Some((job, wanted, feeds)) = self.feeds.due_for_redrive() else {
            return;
        };
        self.redrives += 1;
        let slugs: BTreeSet<_> = feeds
            .iter()
            .filter_map(|id| Some(self.feeds.get(*id)?.slug.to_string()))
            .collect();
        let (go, gone) = sync_channel(1);
        let alive = Arc::new(());
        let run = Run::new(
            self.redrives,
            (job.name(), wanted.number),
            feeds,
            go,
            Arc::clone(&alive),
        );
        let reading = Reading {
            run: run.id,
            kafka: kafka.clone(),
            job,
            redrive: wanted,
            slugs,
            topic: self.layout.topic.clone(),
            events: deliverer.events.clone(),
            go: gone,
            alive: Arc::downgrade(&alive),
        };
        let thread = thread::Builder::new().name("export-redrive".to_owned());
        match thread.spawn(move || reading.run()) {
            Ok(_) => {
                tracing::info!(redrive = run.number, "{}: what it has omitted is sent again", run.job);
                self.feeds.begin_redrive(&run.feeds);
                self.redrive = Some(run);
            }
            Err(error) => self.redrive_later(&format!("no thread: {error}"), now),
        }
    }

    fn redrive_later(&mut self, problem: &str, now: Time) {
        tracing::warn!("omitted changes cannot be sent again yet: {problem}");
        self.redrive_from = now + AGAIN_AFTER;
    }

    /// The thread that reads for a redrive has something to say.
    pub(crate) fn redrive_told(&mut self, run: u64, told: Told, now: Time) {
        let Some(run) = self.redrive.as_mut().filter(|known| known.id == run) else {
            return;
        };
        match told {
            Told::Collected(watched) => {
                run.watched = watched;
                run.overtaken.clear();
                // If it is not there any more, it has said why.
                run.go.try_send(()).ok();
            }
            Told::Surveyed {
                found,
                overtaken,
                unusable,
                more,
            } => {
                run.counts.overtaken += overtaken;
                run.counts.unusable += unusable;
                run.found.extend(found);
                run.more = Some(more);
                self.touch();
            }
            Told::Failed(problem) => {
                self.give_redrive_up();
                self.redrive_later(&problem, now);
            }
        }
    }

    /// A record is handed to these feeds: what a redrive would send of its profile or its users is overtaken. No progress that has
    /// the record as handed on may have that as open, or a successor would send it after the record.
    pub(crate) fn overtake(&mut self, key: Option<(&[u8], &[u8])>, payload: Option<&[u8]>, feeds: &[FeedId]) {
        let Some(run) = self.redrive.as_mut().filter(|run| !run.watched.is_empty()) else {
            return;
        };
        let Some((_, profile_id)) = key else { return };
        for feed in feeds.iter().filter(|id| run.feeds.contains(id)) {
            let Some(feed) = self.feeds.get(*feed) else { continue };
            let keys = redrive::keys(&feed.job, &feed.slug, profile_id, payload);
            let watched = keys.into_iter().filter(|key| run.watched.contains(key));
            run.overtaken.extend(watched);
        }
        let overtaken = |found: &mut Found| found.keys.iter().any(|key| run.overtaken.contains(key));
        let announced = [&mut run.announced, &mut run.writing, &mut run.written];
        let gone: Vec<_> = announced
            .into_iter()
            .flat_map(|found| found.extract_if(.., overtaken))
            .collect();
        run.counts.overtaken += gone.len() as u64;
        let feeds = run.feeds.clone();
        for found in gone {
            if let Some(id) = feed_of(&self.feeds, &feeds, &found) {
                self.close(id, &found);
            }
        }
    }

    /// Goes on with the redrive, as far as there is room. Gives back what is to be logged when it is done.
    pub(crate) fn go_on_with_redrive(&mut self, now: Time) -> Option<ExportLogEntry> {
        let run = self.redrive.as_mut()?;
        if !self.feeds.all_redrive(&run.feeds) {
            self.give_redrive_up();
            return None;
        }
        for found in std::mem::take(&mut run.written) {
            self.send_again(found, now);
        }
        self.announce();
        let run = self.redrive.as_mut()?;
        let more = run.more.filter(|_| run.is_empty())?;
        if more {
            (run.more, run.watched) = (None, HashSet::new());
            run.go.try_send(()).ok();
            return None;
        }
        let run = self.redrive.take()?;
        self.feeds.end_redrive(&run.feeds, run.number);
        Some(self.redriven(&run, now))
    }

    /// Makes changes that are to be sent again open in their feeds.
    fn announce(&mut self) {
        let Some(run) = &mut self.redrive else { return };
        let room = self.config.pending_max / 2;
        while self.batch.pending() + run.announced.len() + run.writing.len() < room
            && let Some(found) = run.found.pop_front()
        {
            let feed = feed_of(&self.feeds, &run.feeds, &found);
            let feed = feed.and_then(|id| self.feeds.get_mut(id));
            if run.has_overtaken(&found) {
                run.counts.overtaken += 1;
            } else if feed.is_some_and(|feed| reopen(feed, self.account, &found)) {
                run.announced.push(found);
            } else {
                // It is on its way, or will be read: its feed has gone back.
                run.counts.overtaken += 1;
            }
        }
    }

    /// An announced change goes into the batch, unless it has been overtaken since.
    fn send_again(&mut self, found: Found, now: Time) {
        let Some(run) = &mut self.redrive else { return };
        let Some(id) = feed_of(&self.feeds, &run.feeds, &found) else {
            return;
        };
        let key = parse_membership_key(&found.key);
        let slug = self.feeds.get(id).map(|feed| Arc::clone(&feed.slug));
        let is_overtaken = run.has_overtaken(&found);
        let membership = consume::read(self.account, &found.payload, slug.as_deref(), key).ok();
        let counts = self.redrive.as_mut().map(|run| &mut run.counts);
        let (Some(membership), Some(counts)) = (membership.filter(|_| !is_overtaken), counts) else {
            if let Some(run) = &mut self.redrive {
                run.counts.overtaken += u64::from(is_overtaken);
                run.counts.unusable += u64::from(!is_overtaken);
            }
            self.close(id, &found);
            return;
        };
        counts.sent += 1;
        let origin = Origin {
            feed: id,
            partition: found.partition,
            offset: found.offset,
            part: Part::WHOLE,
            moves: 0,
            written: found.written,
            payload: found.payload.clone(),
            trace: None,
        };
        self.change(&membership, origin, found.written, now);
    }

    /// What is not sent after all is not open.
    fn close(&mut self, feed: FeedId, found: &Found) {
        if let Some(feed) = self.feeds.get_mut(feed) {
            feed.positions.settle(found.partition, found.offset);
        }
    }

    /// What is open and not sent is not: it is looked for once more when its feeds are served again.
    pub(crate) fn give_redrive_up(&mut self) {
        let Some(run) = self.redrive.take() else { return };
        for found in run.announced.iter().chain(&run.writing).chain(&run.written) {
            if let Some(id) = feed_of(&self.feeds, &run.feeds, found) {
                self.close(id, found);
            }
        }
    }

    /// What is announced is in the progress that is being written.
    pub(super) fn redrive_is_written(&mut self) {
        if let Some(run) = &mut self.redrive {
            run.writing.append(&mut run.announced);
        }
    }

    /// That progress has been committed, or it has not.
    pub(crate) fn redrive_was_written(&mut self, committed: bool) {
        if let Some(run) = &mut self.redrive {
            let to = if committed {
                &mut run.written
            } else {
                &mut run.announced
            };
            to.append(&mut run.writing);
        }
    }

    fn redriven(&self, run: &Run, now: Time) -> ExportLogEntry {
        let Counts {
            sent,
            overtaken,
            unusable,
        } = run.counts;
        let message = format!("{sent} sent again, {overtaken} overtaken by later changes, {unusable} still unusable");
        tracing::info!(redrive = run.number, "{}: {message}", run.job);
        let of_job = self.feeds.iter().filter(|feed| feed.job_name == run.job);
        let counters = of_job.map(|feed| feed.counters).reduce(sum);
        ExportLogEntry {
            job: run.job.clone(),
            event: ExportEvent::Redriven.into(),
            time: Some(settle::timestamp(now)),
            message,
            counters,
            ..ExportLogEntry::default()
        }
    }
}

/// Makes a change open in its feed again: of several parts of an event those alone that were refused, if that is known, for one that
/// Braze has taken would be another one there. `false` if it is open, or has still to be read.
fn reopen(feed: &mut Feed, account: AccountNumber, found: &Found) -> bool {
    let reopens = feed.positions.reopen(found.partition, found.offset);
    if reopens {
        for part in taken(feed, account, found) {
            feed.positions.settle_part(found.partition, found.offset, part);
        }
    }
    reopens
}

/// The parts of an event or a purchase under whose users it was not refused; none if it was under nobody whom it names now. An
/// attribute that is written once more stays as it is.
fn taken(feed: &Feed, account: AccountNumber, found: &Found) -> Vec<Part> {
    if feed.job.options.writes.is_attribute() {
        return Vec::new();
    }
    let key = parse_membership_key(&found.key);
    let Ok(membership) = consume::read(account, &found.payload, Some(&feed.slug), key) else {
        return Vec::new();
    };
    let (earlier, present) = consume::users(
        feed,
        &membership,
        feed.tells_members_only(found.partition, found.offset),
    );
    let users: Vec<_> = earlier.into_iter().chain(present).map(to_wire).collect();
    let is_taken = |user: &Identifier| !found.refused.contains(user);
    if users.iter().all(is_taken) {
        return Vec::new();
    }
    let parts = Part::each(u8::try_from(users.len()).unwrap_or(u8::MAX));
    let parts = parts.zip(&users).filter(|(_, user)| is_taken(user));
    parts.map(|(part, _)| part).collect()
}

/// Whose change it is.
fn feed_of(feeds: &crate::feed::Feeds, ids: &[FeedId], found: &Found) -> Option<FeedId> {
    let (slug, _) = parse_membership_key(&found.key)?;
    let is_its = |id: &&FeedId| feeds.get(**id).is_some_and(|feed| feed.slug.as_bytes() == slug);
    ids.iter().find(is_its).copied()
}
