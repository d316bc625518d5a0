//! What is on a table's topic at this moment, seen by a client of its own: the follower's fetches are long, so that it costs
//! nothing while nobody writes, and a mutation must not wait for them.

use std::thread;
use std::time::{Duration, Instant};

use super::follow::{PARTITION, applied};
use crate::{Config, Disposition, Error, Polled, Position, Reader, ReaderOptions};

/// How long Kafka holds back the answer that there is nothing new.
const FETCH_WAIT: Duration = Duration::from_millis(10);
/// How long until the end of what may be seen is asked for again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Looks once. Blocking.
pub(super) struct Look {
    reader: Reader,
    topic: String,
}

impl Look {
    /// Connects in the background.
    pub(super) fn open(config: &Config, topic: &str) -> Result<Self, Error> {
        let options = ReaderOptions {
            fetch_wait: FETCH_WAIT,
            ..ReaderOptions::default()
        };
        Ok(Self {
            reader: Reader::open(config, options)?,
            topic: topic.to_owned(),
        })
    }

    /// The newest revision below the offset `end`, or a newer one; `known` if there is none after that.
    pub(super) fn newest(&mut self, known: u64, end: i64, timeout: Duration) -> Result<u64, Error> {
        let deadline = Instant::now() + timeout;
        // As long as a transaction is open, a committed reader is shown nothing that comes after.
        while self.reader.watermarks(&self.topic, PARTITION)?.1 < end {
            thread::park_timeout(self.left(deadline)?.min(ASK_AGAIN));
        }
        let from = match i64::try_from(known) {
            Ok(0) | Err(_) => Position::Beginning,
            Ok(offset) => Position::At(offset),
        };
        self.reader.assign(&self.topic, &[(PARTITION, from)])?;
        let mut newest = known;
        loop {
            let left = self.left(deadline)?;
            match self.reader.poll(left) {
                Some(Ok(Polled::Record(record))) => {
                    // What the follower ignores nobody must wait for.
                    newest = applied(&record).map_or(newest, |(applied, _)| applied.revision);
                }
                // The partition was assigned after the end had been asked for: this end is not before it.
                Some(Ok(Polled::Eof { .. })) => return Ok(newest),
                Some(Err(error)) if error.disposition() != Disposition::Retry => return Err(error),
                Some(Err(_)) | None => {}
            }
        }
    }

    fn left(&self, deadline: Instant) -> Result<Duration, Error> {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Unavailable {
                doing: format!("reading topic {} to its end", self.topic),
                source: None,
            });
        }
        Ok(left)
    }
}
