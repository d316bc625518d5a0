//! The loop of one Braze workspace, on a thread of its own: records in, requests out, outcomes settled, progress written.
//!
//! Back-pressure is not polling: a reader with manual assignment has no deadline, and `pause` would throw away what was
//! prefetched. Everything else that happens comes through one bounded queue of events. Between the two the thread rests, and is
//! woken by either.

mod read;
mod rest;
mod start;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::batch::RequestId;
use crate::catalog::Catalog;
use crate::clock::{Clock, Time};
use crate::deliver::Deliverer;
use crate::engine::{Error, Question, Statuses};
use crate::feed::{FeedId, JobSet, Used};
use crate::lease::Lease;
use crate::measure;
use crate::placement::{Pulse, Stop};
use crate::redrive::Told;
use crate::settle::{NOT_BEFORE_MAX, ProgressWriter};
use crate::workspace::{Counted, Fate, Place, Workspace};

use self::read::Readers;
use self::rest::Rest;
pub(crate) use self::start::{Parts, open};

/// Longest rest while nothing happens.
const REST_MAX: Duration = Duration::from_secs(1);
/// How often counts are folded into metrics, statuses are shown, and ends are asked for.
const COUNT_EVERY: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_millis(50);
const MEASURE_EVERY: Duration = Duration::from_secs(10);
/// How often offsets are committed for lag tools, if they have moved; and if not, lest they are forgotten or were not taken.
const MIRROR_EVERY: Duration = Duration::from_secs(5);
const MIRROR_AGAIN_EVERY: Duration = Duration::from_secs(60);
/// How often a topic that could not be read is looked for.
const LOOK_AGAIN_EVERY: Duration = Duration::from_secs(1);
/// What the last progress may take after a drain whose time is over.
const LAST_COMMIT: Duration = Duration::from_secs(2);

/// Something that happened elsewhere.
#[derive(Debug)]
pub(crate) enum Event {
    /// A call to Braze has ended.
    Attempt {
        request: RequestId,
        attempt: braze::Attempt,
    },
    /// A call that asks whether Braze takes an authorization again has ended.
    Probed { used: Used, attempt: braze::Attempt },
    /// Records are on the rejected topic.
    Kept { places: Vec<(Place, Fate)> },
    /// Records are not on the rejected topic yet.
    NotKept { reason: String },
    /// Whoever reads for a redrive has something to say.
    Redrive { run: u64, told: Told },
    /// A progress transaction that began then has ended.
    Progress {
        begun: Time,
        result: Result<(), kafka::Error>,
    },
    /// Members of audiences have been counted.
    Counted(Counted),
    /// Ends of the partitions, asked for at `asked`: an answer may be late, and then says nothing of the time it came.
    Ends {
        asked: Time,
        ends: Result<Vec<i64>, kafka::Error>,
    },
    /// Somebody asks how a record fares.
    Asked(Question),
}

/// One Braze workspace being served.
pub(crate) struct Pipeline {
    workspace: Workspace,
    readers: Readers,
    progress: ProgressWriter,
    deliverer: Deliverer,
    catalog: Catalog,
    events: mpsc::Receiver<Event>,
    wanted: watch::Receiver<Arc<JobSet>>,
    statuses: Statuses,
    clock: Clock,
    lease: Lease,
    rest: Rest,
    /// The writer's thread is at work.
    writing: bool,
    /// A request waits for the lease.
    lease_wanted: bool,
    last_written: Time,
    last_counted: Time,
    last_shown: Time,
    last_measured: Time,
    last_all_written: Time,
    last_mirrored: Time,
    /// The newest feed when the ends were last asked for.
    measured_newest: FeedId,
}

impl Pipeline {
    /// Serves the workspace until `stop` asks for a drain and everything is finished, or abandons it.
    ///
    /// # Errors
    /// [`Error::Kafka`] with [`kafka::Error::Fenced`] if somebody else serves it now; anything else that does not mend itself.
    pub(crate) fn run(mut self, stop: &Stop, pulse: &Pulse) -> Result<(), Error> {
        let mut quiet = false;
        while stop.left().is_none() {
            pulse.beat();
            if stop.is_abandoned() {
                return Ok(());
            }
            self.events_so_far()?;
            if self.wanted.has_changed().unwrap_or(false) {
                self.apply();
            }
            let now = self.tick()?;
            self.redrive(now);
            if self.read(now)? {
                quiet = false;
            } else {
                // What has just happened is still to be shown.
                let wait = self.wait(now, if quiet { REST_MAX } else { SHOW_EVERY });
                quiet = self.rest(wait, stop.asked())? && wait >= SHOW_EVERY;
            }
        }
        self.drain(stop, pulse)
    }

    /// Sends again what somebody wants to be, as far as there is room.
    fn redrive(&mut self, now: Time) {
        if self.last_counted == now {
            let kafka = &self.readers.kafka;
            self.workspace.begin_redrive(kafka, &self.deliverer, now);
        }
        if let Some(done) = self.workspace.go_on_with_redrive(now) {
            self.statuses.log.write(done);
        }
    }

    /// Admits nothing new, finishes what can be finished in time, and releases the workspace.
    fn drain(mut self, stop: &Stop, pulse: &Pulse) -> Result<(), Error> {
        // A deleted job's progress must go even if the workspace goes with it, and its status.
        self.apply();
        self.workspace.show(&self.statuses, self.clock.now());
        // What of it is not in the batch is for whoever serves the workspace next.
        self.workspace.give_redrive_up();
        self.workspace.batch.drain();
        let deadline = self.clock.now() + stop.left().unwrap_or_default();
        loop {
            pulse.beat();
            self.events_so_far()?;
            let now = self.tick()?;
            let idle = self.workspace.in_flight.is_empty() && self.workspace.keeping == 0;
            if stop.is_abandoned() {
                return Ok(());
            }
            let written_down = self.workspace.order.unexpired(now).nth(NOT_BEFORE_MAX).is_none();
            if now >= deadline || (idle && written_down && self.next_send(now).is_none_or(|time| time > deadline)) {
                break;
            }
            let wait = self.wait(now, SHOW_EVERY);
            self.await_event(wait)?;
        }
        self.mirror(self.clock.now());
        let outcome = self.write_last(deadline.max(self.clock.now() + LAST_COMMIT), pulse);
        self.workspace.count(self.clock.now());
        outcome
    }

    /// Writes the progress that the next owner begins with; once more if Kafka has aborted it.
    fn write_last(&mut self, deadline: Time, pulse: &Pulse) -> Result<(), Error> {
        self.until_written(deadline, pulse)?;
        for _ in 0..2 {
            let now = self.clock.now();
            self.progress.commit(self.workspace.progress(true, now))?;
            self.writing = true;
            self.until_written(deadline, pulse)?;
            if self.lease.begun() >= now {
                return Ok(());
            }
        }
        Err(Error::Undrained)
    }

    fn until_written(&mut self, deadline: Time, pulse: &Pulse) -> Result<(), Error> {
        while self.writing {
            pulse.beat();
            if self.clock.now() >= deadline {
                return Err(Error::Undrained);
            }
            self.await_event(SHOW_EVERY)?;
        }
        Ok(())
    }

    /// When something pending can be sent next; `None` if nothing is pending in the batch.
    fn next_send(&mut self, now: Time) -> Option<Time> {
        if self.workspace.batch.pending() == 0 {
            return None;
        }
        let ready = if self.workspace.batch.is_ready(now) {
            Some(now)
        } else {
            self.workspace.batch.next_wake()
        };
        let takeover = self
            .workspace
            .takeover
            .as_ref()
            .map_or(Time::MIN, |takeover| takeover.send_from);
        let room = if self
            .workspace
            .order
            .is_full(2 * self.workspace.batch.changes_in_flight())
        {
            self.workspace.order.next_expiry()
        } else {
            None
        };
        Some(
            ready?
                .max(self.workspace.budget.next())
                .max(takeover)
                .max(room.unwrap_or(Time::MIN)),
        )
    }

    fn apply(&mut self) {
        let wanted = Arc::clone(&self.wanted.borrow_and_update());
        self.workspace.apply(&wanted, self.clock.now());
    }

    /// Everything that goes by time: waiting changes, requests, progress, statuses.
    fn tick(&mut self) -> Result<Time, Error> {
        let now = self.clock.now();
        let takeover = self.workspace.takeover.as_ref();
        if takeover.is_some_and(|takeover| takeover.doubt_until <= now) {
            self.workspace.takeover = None;
            // What had to wait for that begins, or goes on elsewhere.
            self.apply();
        }
        let workspace = &mut self.workspace;
        workspace.keep_time(now);
        workspace.order.expire(now);
        workspace.batch.wake(&workspace.order, now);
        if workspace.feeds.next_probe().is_some_and(|time| time <= now) {
            workspace.start_probes(&self.deliverer, now);
        }
        workspace.start_counting(&self.catalog, &self.deliverer, now);
        let leased = self.lease.holds_at(now);
        self.lease_wanted = workspace.start_requests(&self.deliverer, leased, now);
        self.write_progress(now)?;
        if now.since(self.last_counted) >= COUNT_EVERY {
            self.last_counted = now;
            self.workspace.count(now);
        }
        if now.since(self.last_shown) >= SHOW_EVERY {
            self.last_shown = now;
            for ended in self.workspace.end_removals(now) {
                self.statuses.log.write(ended);
            }
            self.workspace.show(&self.statuses, now);
        }
        if now.since(self.last_mirrored) >= MIRROR_EVERY {
            self.mirror(now);
        }
        Ok(now)
    }

    fn write_progress(&mut self, now: Time) -> Result<(), Error> {
        if self.writing {
            return Ok(());
        }
        if now.since(self.last_all_written) >= self.workspace.config.progress_of_all_every {
            self.last_all_written = now;
            self.workspace.feeds.all_dirty();
        }
        let takeover = self.workspace.takeover.as_ref();
        let ends_wanted = takeover.is_some_and(|takeover| takeover.ends.is_none() && now >= takeover.send_from)
            || self
                .workspace
                .feeds
                .ends_wanted()
                .is_some_and(|since| self.last_measured < since);
        let due =
            self.workspace.feeds.any_dirty() && now.since(self.last_written) >= self.workspace.config.progress_every;
        let measure_every = if self.workspace.unread.is_some() {
            LOOK_AGAIN_EVERY
        } else {
            MEASURE_EVERY
        };
        if ends_wanted || now.since(self.last_measured) >= measure_every {
            self.last_measured = now;
            self.measured_newest = self.workspace.feeds.newest();
            self.progress.measure(&self.workspace.layout.topic)?;
            self.writing = true;
        } else if due || self.lease_wanted {
            self.last_written = now;
            self.progress.commit(self.workspace.progress(false, now))?;
            self.writing = true;
        }
        Ok(())
    }

    /// How long nothing has to be done, at most `longest`.
    fn wait(&mut self, now: Time, longest: Duration) -> Duration {
        let progress = (self.workspace.feeds.any_dirty() && !self.writing)
            .then(|| self.last_written + self.workspace.config.progress_every);
        let sends = self
            .next_send(now)
            .filter(|_| !self.lease_wanted && self.may_start_more());
        let feeds = &self.workspace.feeds;
        let next = [progress, sends, feeds.next_probe(), feeds.next_turn()]
            .into_iter()
            .flatten()
            .min();
        next.map_or(longest, |time| time.since(now).clamp(Duration::from_millis(1), longest))
    }

    fn may_start_more(&self) -> bool {
        self.workspace.in_flight.len() < self.workspace.config.in_flight_max
    }

    /// Rests until something happens, and takes it if it is an event. Whether nothing has happened for as long as `longest`.
    fn rest(&mut self, longest: Duration, end: &CancellationToken) -> Result<bool, Error> {
        let until = Instant::now() + longest;
        if let Some(event) = self.rest.rest(&mut self.events, &self.wanted, end, longest) {
            self.take(event)?;
        }
        Ok(Instant::now() >= until)
    }

    fn events_so_far(&mut self) -> Result<(), Error> {
        while let Ok(event) = self.events.try_recv() {
            self.take(event)?;
        }
        Ok(())
    }

    fn await_event(&mut self, longest: Duration) -> Result<(), Error> {
        match self.rest.rest_for_event(&mut self.events, longest) {
            Some(event) => self.take(event),
            None => Ok(()),
        }
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        let now = self.clock.now();
        match event {
            Event::Attempt { request, attempt } => {
                self.workspace
                    .end_attempt(request, attempt, &self.deliverer, rand::random(), now);
            }
            Event::Probed { used, attempt } => self.workspace.end_probe(&used, &attempt, now),
            // Whoever asked may have gone.
            Event::Asked(Question { about, answer }) => drop(answer.send(self.workspace.standing(&about, now))),
            Event::Kept { places } => self.workspace.kept(places),
            Event::NotKept { reason } => self.workspace.not_kept(reason),
            Event::Counted(counted) => self.workspace.counted(counted, now),
            Event::Redrive { run, told } => self.workspace.redrive_told(run, told, now),
            Event::Progress { begun, result } => {
                self.writing = false;
                self.progress_ended(begun, result)?;
            }
            Event::Ends { asked, ends } => {
                self.writing = false;
                match ends {
                    Ok(ends) => {
                        self.workspace.layout.still(ends.len())?;
                        self.workspace.stop_beyond(&ends, self.measured_newest, now);
                        self.workspace.measured(ends, asked);
                        if self.workspace.unread.take().is_some() {
                            self.read_again()?;
                        }
                    }
                    Err(error @ kafka::Error::Topic { .. }) => self.cannot_read(&error),
                    Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "the ends are not known"),
                }
            }
        }
        Ok(())
    }

    fn progress_ended(&mut self, begun: Time, result: Result<(), kafka::Error>) -> Result<(), Error> {
        let counted = |result| metrics::counter!(measure::PROGRESS_TOTAL, "result" => result).increment(1);
        match result {
            Ok(()) => {
                counted("committed");
                self.lease.renew(begun);
                self.workspace.redrive_was_written(true);
                Ok(())
            }
            Err(error @ kafka::Error::Aborted { .. }) => {
                counted("aborted");
                tracing::warn!(error = &error as &dyn std::error::Error, "progress is written again");
                self.workspace.progress_aborted();
                Ok(())
            }
            Err(error) => {
                counted("failed");
                Err(error.into())
            }
        }
    }
}
