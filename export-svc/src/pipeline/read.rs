//! Polling the two readers. Catch-up has a client only while there is something to catch up.

use std::task::Waker;
use std::time::Duration;

use kafka::{Disposition, Polled, Position, Reader, ReaderOptions};

use super::{MIRROR_AGAIN_EVERY, Pipeline};
use crate::clock::Time;
use crate::engine::Error;
use crate::feed::Which;

/// Records taken from a reader before the other one and the events are looked at again.
const RECORDS_PER_ROUND: usize = 256;

/// The clients that read.
pub(super) struct Readers {
    pub(super) kafka: kafka::Config,
    /// Wakes the thread that reads.
    waker: Waker,
    live: Source,
    catch_up: Option<Source>,
    /// What live has committed for lag tools, and when.
    mirrored: (Vec<(i32, i64)>, Time),
}

struct Source {
    reader: Reader,
    assigned: bool,
}

impl Readers {
    pub(super) fn new(kafka: kafka::Config, live: Reader, waker: Waker) -> Self {
        Self {
            kafka,
            live: Source::new(live, waker.clone()),
            waker,
            catch_up: None,
            mirrored: (Vec::new(), Time::MIN),
        }
    }

    fn get(&mut self, which: Which) -> Result<&mut Source, Error> {
        match (which, &mut self.catch_up) {
            (Which::Live, _) => Ok(&mut self.live),
            (Which::CatchUp, Some(source)) => Ok(source),
            (Which::CatchUp, none) => {
                let reader = Reader::open(&self.kafka, ReaderOptions::default())?;
                Ok(none.insert(Source::new(reader, self.waker.clone())))
            }
        }
    }
}

impl Source {
    fn new(mut reader: Reader, waker: Waker) -> Self {
        reader.on_ready(move || waker.wake_by_ref());
        Self {
            reader,
            assigned: false,
        }
    }
}

impl Pipeline {
    /// Takes some of the records that are there and may be read. Whether there was anything: if not, both readers tell when
    /// there is.
    pub(super) fn read(&mut self, now: Time) -> Result<bool, Error> {
        if !self.workspace.feeds.serves(Which::CatchUp) {
            self.readers.catch_up = None;
        }
        self.workspace.make_room();
        let live = self.read_by(Which::Live, now)?;
        Ok(self.read_by(Which::CatchUp, now)? || live)
    }

    /// Whether there was anything.
    fn read_by(&mut self, which: Which, now: Time) -> Result<bool, Error> {
        let mut found = false;
        // A round is small beside the batch, of which each feed is to leave something to the others.
        let records = RECORDS_PER_ROUND.min(self.workspace.config.pending_max / 16).max(1);
        for _ in 0..records {
            if !self.workspace.may_read(which) {
                break;
            }
            if self.workspace.feeds.must_seek(which) {
                self.reposition(which)?;
            }
            let reader = &mut self.readers.get(which)?.reader;
            match reader.poll(Duration::ZERO) {
                None => break,
                Some(Ok(Polled::Record(record))) => {
                    self.workspace.take(which, &record, now);
                    self.workspace.keep_what_is_much(&self.deliverer);
                }
                Some(Ok(Polled::Eof { partition })) => {
                    let offset = match reader.position(partition) {
                        Some(Position::At(offset)) => Some(offset),
                        _ => None,
                    };
                    self.workspace.ended(which, partition, offset);
                }
                Some(Err(error)) if error.disposition() == Disposition::Retry => {
                    tracing::debug!(error = &error as &dyn std::error::Error, "reading goes on by itself");
                }
                Some(Err(error @ kafka::Error::Topic { .. })) => {
                    self.cannot_read(&error);
                }
                Some(Err(kafka::Error::OffsetGone { partition, held, .. })) => match partition.zip(held) {
                    Some((partition, held)) => self.workspace.offset_gone(which, partition, held, now),
                    None => self.read_again()?,
                },
                Some(Err(error)) => return Err(error.into()),
            }
            found = true;
        }
        self.workspace.keep_all(&self.deliverer);
        Ok(found)
    }

    /// Commits how far live has settled everything to its consumer group. Only for lag tools: nobody reads it back.
    pub(super) fn mirror(&mut self, now: Time) {
        self.last_mirrored = now;
        let frontier = self.workspace.feeds.frontier();
        let (mirrored, then) = &self.readers.mirrored;
        let due = frontier != *mirrored || now.since(*then) >= MIRROR_AGAIN_EVERY;
        if self.readers.live.assigned && !frontier.is_empty() && due {
            self.readers.live.reader.commit(&frontier);
            self.readers.mirrored = (frontier, now);
        }
    }

    /// The topic is gone, perhaps for as long as a broker takes to start: its jobs are in fault until it is there.
    pub(super) fn cannot_read(&mut self, error: &kafka::Error) {
        if self.workspace.unread.replace(error.to_string()).is_none() {
            tracing::error!("nothing can be read: {error}");
            self.last_measured = Time::MIN;
        }
        self.workspace.touch();
    }

    /// The topic is there again: every partition is read on from where it was.
    pub(super) fn read_again(&mut self) -> Result<(), Error> {
        tracing::info!("topic {} can be read again", self.workspace.layout.topic);
        let partitions = 0..i32::try_from(self.workspace.layout.partitions).unwrap_or(i32::MAX);
        for source in [Some(&mut self.readers.live), self.readers.catch_up.as_mut()] {
            let Some(Source { reader, .. }) = source else { continue };
            let position = |partition| Some((partition, reader.position(partition)?));
            let positions: Vec<_> = partitions.clone().filter_map(position).collect();
            reader.seek_all(&positions)?;
        }
        Ok(())
    }

    /// A reader goes where its feeds need it.
    fn reposition(&mut self, which: Which) -> Result<(), Error> {
        let seeks = self.workspace.feeds.take_seeks(which).into_iter();
        // Never just at the beginning: of a topic that was cut off meanwhile nobody would be told what is missing.
        let seeks: Vec<_> = seeks
            .map(|(partition, offset)| (partition, Position::At(offset)))
            .collect();
        self.workspace.tally.sought(which);
        let source = self.readers.get(which)?;
        if std::mem::replace(&mut source.assigned, true) {
            source.reader.seek_all(&seeks)?;
        } else {
            source.reader.assign(&self.workspace.layout.topic, &seeks)?;
        }
        Ok(())
    }
}
