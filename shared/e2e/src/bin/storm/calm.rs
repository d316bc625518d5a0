//! After the storm: waiting until nothing happens any more, and looking at what is there.

use std::collections::HashMap;
use std::time::Duration;

use proto::export::v1::ExportCounters;
use tokio::time::Instant;

use crate::counts;
use crate::edges;
use crate::log::Entry;
use crate::storm::{Job, Storm, bar};
use crate::verdict::{self, Repeats};
use crate::world::Name;

/// No call for this long and nobody differs: nothing will come any more. Longer than a new owner waits, and a doubt.
const QUIET: Duration = Duration::from_secs(8);
/// No call for this long and somebody still differs: nothing will come any more. Longer than the longest wait before a workspace
/// that failed is served again.
const STUCK: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How many of what is wrong are shown, each with all that happened to it.
const SHOWN: usize = 3;

/// The last so many records, and so many calls, of all that happened.
const HISTORY: usize = 15;

/// What came of the storm.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) updates: u64,
    pub(crate) mismatches: usize,
    pub(crate) order_violations: usize,
    pub(crate) repeats: Repeats,
    pub(crate) not_kept: usize,
    pub(crate) miscounted: usize,
    pub(crate) edges_missed: usize,
    pub(crate) compacted_away: u64,
    pub(crate) bad_ends: usize,
    /// All that is wrong, for people.
    pub(crate) findings: Vec<String>,
}

impl Outcome {
    /// Whether everything is as it must be.
    pub(crate) fn is_good(&self) -> bool {
        let Repeats { repeats, allowed } = self.repeats;
        self.mismatches == 0
            && self.order_violations == 0
            && (0..=allowed).contains(&repeats)
            && self.findings.is_empty()
    }
}

impl Storm {
    /// Waits until nothing happens any more, and compares.
    ///
    /// # Errors
    /// When something that is to be compared cannot be read.
    pub(crate) async fn calm(&self) -> anyhow::Result<Outcome> {
        let log = self.log.read().await?;
        let last = verdict::last_words(&log);
        let expected = verdict::expected(&log, &self.audiences);
        let bar = bar("users who differ", last.len() as u64)?;
        let (mut calls, mut since) = (self.braze.arrivals(), Instant::now());
        let different = loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if self.braze.arrivals() != calls {
                (calls, since) = (self.braze.arrivals(), Instant::now());
            }
            self.braze.idle().await;
            let different = verdict::mismatches(&expected, &self.braze.held());
            bar.set_position(last.len().saturating_sub(different.len()) as u64);
            let patience = if different.is_empty() { QUIET } else { STUCK };
            if since.elapsed() >= patience {
                break different;
            }
        };
        bar.finish();

        let calls = self.braze.calls(&self.audiences)?;
        let log = self.compacted_log().await?;
        let compacted_away = counts::compacted_away(&log, &self.audiences);
        let jobs = self.jobs();
        let (counters, miscounted) = self.counters(&log, &jobs).await?;
        let rejected = self.log.read_rejected().await?;
        let events = self.fleet.events();
        let (overtaken, overlapping) = (calls.overtaken(), calls.overlapping());
        let not_kept = verdict::not_kept(&last, &self.audiences, &jobs, &rejected);

        let mut findings = Vec::new();
        let mut history = |what: String, audience: usize, user| {
            findings.push(what);
            let of = log
                .iter()
                .filter(|entry| (entry.audience, entry.user) == (audience, user));
            let records = of.map(|entry| {
                let value = if entry.enter { "enter" } else { "exit" };
                let name = |name: Option<Name>| name.map_or_else(|| "nobody".to_owned(), |name| name.to_string());
                let moved = entry
                    .previous
                    .is_some()
                    .then(|| format!(" after {}", name(entry.previous)));
                format!(
                    "record {}/{} at {}: {value} of {}{}",
                    entry.partition,
                    entry.offset,
                    time(entry.time),
                    name(entry.name),
                    moved.unwrap_or_default(),
                )
            });
            let mut lines: Vec<_> = records.collect();
            let mut calls = calls.trace(audience, user);
            for history in [&mut lines, &mut calls] {
                history.drain(..history.len().saturating_sub(HISTORY));
            }
            findings.extend(lines.into_iter().chain(calls).map(|line| format!("    {line}")));
        };
        for (workspace, name, slug) in different.iter().take(SHOWN) {
            let audience = self.audiences.iter().position(|audience| audience.slug == *slug);
            let what = format!("{name} differs in {slug} of workspace {workspace}");
            history(what, audience.unwrap_or(usize::MAX), name.user);
        }
        for update in overtaken.iter().take(SHOWN) {
            let what = format!("call {} was overtaken by the opposite", update.call + 1);
            history(what, update.audience, update.name.user);
        }
        let edges_missed = edges::missed(&calls, &log, &self.audiences);
        if compacted_away == 0 {
            findings.push("nothing was compacted away".to_owned());
        }
        for (what, all) in [
            ("two calls with one user at once", &overlapping),
            ("not on the rejected topic", &not_kept),
            ("on the rejected topic without a reason", &rejected.strange),
            ("not settled once", &miscounted),
            ("an edge was missed", &edges_missed),
            ("ended badly", &events.bad_ends),
        ] {
            findings.extend(all.iter().take(SHOWN).map(|one| format!("{what}: {one}")));
        }
        Ok(Outcome {
            requests: calls.calls.len() as u64,
            updates: calls.count(|_| true, |call| call.applied_at.is_some()),
            mismatches: different.len(),
            order_violations: overlapping.len() + overtaken.len(),
            repeats: verdict::repeats(&calls, &log, &self.audiences, &jobs, &counters, &events.interruptions),
            not_kept: not_kept.len() + rejected.strange.len(),
            miscounted: miscounted.len(),
            edges_missed: edges_missed.len(),
            compacted_away,
            bad_ends: events.bad_ends.len(),
            findings,
        })
    }

    /// The log, when something of it has been compacted away, or long after that should have been.
    async fn compacted_log(&self) -> anyhow::Result<Vec<Entry>> {
        let deadline = Instant::now() + STUCK;
        loop {
            let log = self.log.read().await?;
            if counts::compacted_away(&log, &self.audiences) > 0 || Instant::now() >= deadline {
                return Ok(log);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The counters of every job, and what is wrong with them. A replica that does not serve a job learns them when they have been
    /// written down, and one that has just taken it over when it has read them: they are asked for until they are right.
    async fn counters(
        &self,
        log: &[Entry],
        jobs: &[Job],
    ) -> anyhow::Result<(HashMap<String, ExportCounters>, Vec<String>)> {
        let deadline = Instant::now() + STUCK;
        loop {
            let counters = self.counters_now().await?;
            let miscounted = counts::miscounted(log, &self.audiences, jobs, &counters);
            if miscounted.is_empty() || Instant::now() >= deadline {
                return Ok((counters, miscounted));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// The counters of every job, from the replica that knows most of it.
    async fn counters_now(&self) -> anyhow::Result<HashMap<String, ExportCounters>> {
        let sum = |counters: &ExportCounters| counters.added + counters.removed + counters.omitted + counters.rejected;
        let mut known: HashMap<String, ExportCounters> = HashMap::new();
        for job in self.control.jobs().await?.into_iter().flatten() {
            let counters = job.counters.unwrap_or_default();
            let best = known.entry(job.name).or_default();
            if sum(&counters) > sum(best) {
                *best = counters;
            }
        }
        Ok(known)
    }
}

fn time(milliseconds: i64) -> String {
    jiff::Timestamp::from_millisecond(milliseconds).map_or_else(|_| "an odd time".to_owned(), |time| time.to_string())
}
