//! Reads what a redrive needs to know, on a thread of its own: which changes were omitted, and which of them are the last word.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Weak};
use std::time::Duration;

use control::{ExportJob, Redrive};
use kafka::{Disposition, Polled, Position, Reader, ReaderOptions, RecordView, Topics};
use model::parse_membership_key;
use prost::Message;
use proto::export::v1::RejectedChange;
use tokio::sync::mpsc;

use super::survey::{At, Survey};
use super::{Found, ROUND, is_wanted, keys};
use crate::clock::Time;
use crate::order::Key;
use crate::pipeline::Event;
use crate::tail;

/// How long a poll waits for records, and how often it is looked whether anybody still wants them.
const POLL: Duration = Duration::from_millis(200);
/// Clocks differ by so much at most: what was omitted so long after the redrive was asked for may be meant.
const CLOCKS: Duration = Duration::from_secs(10);

/// What the thread has to say.
#[derive(Debug)]
pub(crate) enum Told {
    /// Changes with these keys were omitted; it goes on when they are watched.
    Collected(std::collections::HashSet<Key>),
    /// These are still the last word. With `more` it goes on when they are on their way.
    Surveyed {
        found: Vec<Found>,
        overtaken: u64,
        unusable: u64,
        more: bool,
    },
    /// Nothing more comes.
    Failed(String),
}

/// What is to be read.
pub(crate) struct Reading {
    pub(crate) run: u64,
    pub(crate) kafka: kafka::Config,
    pub(crate) job: Arc<ExportJob>,
    pub(crate) redrive: Redrive,
    /// The audiences that it is for.
    pub(crate) slugs: BTreeSet<String>,
    /// The membership topic.
    pub(crate) topic: String,
    pub(crate) events: mpsc::Sender<Event>,
    pub(crate) go: Receiver<()>,
    pub(crate) alive: Weak<()>,
}

impl Reading {
    /// Blocks, round for round, until everything is told or nobody wants it any more.
    pub(crate) fn run(self) {
        let mut from = BTreeMap::new();
        loop {
            let round = self.round(&mut from);
            let told = round.unwrap_or_else(|error| Some(Told::Failed(runtime::error::chain(&error))));
            let Some(told) = told else { return };
            let goes_on = matches!(told, Told::Surveyed { more: true, .. });
            if !self.tell(told) || !goes_on || self.go.recv().is_err() {
                return;
            }
        }
    }

    /// Whether anybody hears it.
    fn tell(&self, told: Told) -> bool {
        let event = Event::Redrive { run: self.run, told };
        is_wanted(&self.alive) && self.events.blocking_send(event).is_ok()
    }

    /// `None` if nobody wants it any more.
    fn round(&self, from: &mut BTreeMap<i32, i64>) -> Result<Option<Told>, tail::Error> {
        let mut survey = Survey::default();
        let (mut unusable, more) = self.collect(&mut survey, from)?;
        let watched = survey.watched();
        if watched.is_empty() {
            return Ok(Some(Told::Surveyed {
                found: Vec::new(),
                overtaken: 0,
                unusable,
                more,
            }));
        }
        if !self.tell(Told::Collected(watched)) || self.go.recv().is_err() {
            return Ok(None);
        }
        if !self.survey(&mut survey)? {
            return Ok(None);
        }
        unusable += survey.unusable;
        let (found, overtaken) = survey.finish();
        Ok(Some(Told::Surveyed {
            found,
            overtaken,
            unusable,
            more,
        }))
    }

    /// Looks up, from these offsets on, which changes were omitted, until there are enough for a round. How many of them nobody can
    /// send, and whether there are more.
    fn collect(&self, survey: &mut Survey, from: &mut BTreeMap<i32, i64>) -> Result<(u64, bool), tail::Error> {
        let job = self.job.name();
        let until = self.redrive.time.as_millisecond() + i64::try_from(CLOCKS.as_millis()).unwrap_or(0);
        let begin = from.clone();
        let pick = |record: &RecordView<'_>| {
            let (partition, offset) = (record.partition(), record.offset());
            let is_next = begin.get(&partition).is_none_or(|begin| offset >= *begin);
            let is_meant = is_next && record.timestamp_ms().is_none_or(|written| written <= until);
            let payload = record.payload().filter(|_| is_meant)?;
            let rejected = RejectedChange::decode(payload).ok()?;
            let reasons = &self.redrive.reasons;
            let fits = reasons.is_empty() || reasons.contains(&rejected.reason);
            fits.then_some((partition, offset, rejected))
        };
        let wanted = tail::Wanted {
            newest: None,
            follow: false,
            patience: Duration::MAX,
        };
        let (mut unusable, mut bytes, mut is_full) = (0, 0, false);
        let take = |(partition, offset, rejected): (i32, i64, RejectedChange)| {
            from.insert(partition, offset + 1);
            bytes += rejected.encoded_len();
            match self.keys_of(&rejected) {
                Some(keys) => survey.want(rejected.partition, rejected.offset, &keys, rejected.identifier),
                // Of an audience that the job does not have any more, or it is another run's.
                None if rejected
                    .change
                    .as_ref()
                    .is_some_and(|change| !self.slugs.contains(&change.audience_slug)) => {}
                None => unusable += 1,
            }
            is_full = survey.len() >= ROUND.0 || bytes >= ROUND.1;
            if is_full { Err(tail::Error::Gone) } else { Ok(()) }
        };
        let topic = Topics::new(&self.kafka).export_rejected();
        match tail::tail(
            &self.kafka,
            (&topic, &job),
            &wanted,
            pick,
            || is_wanted(&self.alive),
            take,
        ) {
            Err(tail::Error::Gone) if is_full => Ok((unusable, true)),
            ended => ended.map(|()| (unusable, false)),
        }
    }

    /// What an omitted change is known by; `None` if it cannot be sent.
    fn keys_of(&self, rejected: &RejectedChange) -> Option<Vec<Key>> {
        let change = rejected.change.as_ref().filter(|_| rejected.topic == self.topic)?;
        let slug = self.slugs.get(&change.audience_slug)?;
        let payload = change.encode_to_vec();
        let keys = keys(&self.job, slug, change.profile_id.as_bytes(), Some(&payload));
        (keys.len() > 1).then_some(keys)
    }

    /// Looks at every record of the membership topic. Whether anybody still wants it.
    fn survey(&self, survey: &mut Survey) -> Result<bool, kafka::Error> {
        let mut reader = Reader::open(&self.kafka, ReaderOptions::default())?;
        let partitions = reader.partitions(&self.topic)?;
        let from: Vec<_> = partitions
            .iter()
            .map(|partition| (*partition, Position::Beginning))
            .collect();
        reader.assign(&self.topic, &from)?;
        let mut left: BTreeSet<_> = partitions.into_iter().collect();
        let mut records = 0_u32;
        while !left.is_empty() {
            match reader.poll(POLL) {
                Some(Ok(Polled::Record(record))) => {
                    self.see(survey, &record);
                    records = records.wrapping_add(1);
                    if !records.is_multiple_of(1_024) {
                        continue;
                    }
                }
                Some(Ok(Polled::Eof { partition })) => {
                    left.remove(&partition);
                }
                Some(Err(error)) if error.disposition() == Disposition::Retry => {}
                Some(Err(error)) => return Err(error),
                None => {}
            }
            if !is_wanted(&self.alive) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn see(&self, survey: &mut Survey, record: &RecordView<'_>) {
        let key = record.key().unwrap_or_default();
        let Some((slug, profile_id)) = parse_membership_key(key) else {
            return;
        };
        let slug = std::str::from_utf8(slug).ok().and_then(|slug| self.slugs.get(slug));
        let Some(slug) = slug else { return };
        let at = At {
            partition: record.partition(),
            offset: record.offset(),
            written: record.timestamp_ms().map(Time::from_millis),
        };
        let keys = keys(&self.job, slug, profile_id, record.payload());
        survey.see(at, &keys, key, record.payload());
    }
}
