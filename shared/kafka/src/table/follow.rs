//! The thread that keeps the map current.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::map::{Applied, Entry, Shared};
use crate::headers::MUTATION_ID;
use crate::{Config, Error, Polled, Position, Reader, ReaderOptions, RecordView};

/// The only partition.
pub(super) const PARTITION: i32 = 0;
/// The longest a request or a shutdown waits for the thread to look.
const POLL: Duration = Duration::from_millis(20);
/// How long Kafka holds back the answer that there is nothing new. A mutation waits for two or three such answers.
const FETCH_WAIT: Duration = Duration::from_millis(50);
/// How often an idle table checks that it is complete.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// A check that has not ended by then is begun anew.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before asking again for a topic that was not found.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Records applied in one step at most.
const APPLY_MAX: usize = 1000;

/// A request to be told when everything below `end` has been applied.
struct Request {
    end: i64,
    done: oneshot::Sender<()>,
}

/// Handle of the thread; the thread ends when it is dropped.
pub(super) struct Follower {
    requests: SyncSender<Request>,
}

impl Follower {
    pub(super) fn start(
        config: &Config,
        topic: &str,
        shared: Arc<Shared>,
        loaded: oneshot::Sender<Result<(), Error>>,
    ) -> Result<Self, Error> {
        let reader = Reader::open(
            config,
            ReaderOptions {
                fetch_wait: FETCH_WAIT,
                ..ReaderOptions::default()
            },
        )?;
        let (requests, inbox) = sync_channel(16);
        let follow = Follow {
            reader,
            topic: topic.to_owned(),
            shared,
            inbox,
            opener: Some(loaded),
            loading: None,
            pending: Vec::new(),
            check: None,
            applying: Vec::new(),
        };
        std::thread::Builder::new()
            .name("kafka-table".to_owned())
            .spawn(move || follow.run())
            .map_err(|_| Error::Closed)?;
        Ok(Self { requests })
    }

    /// Waits until everything below the offset `end` has been applied.
    pub(super) async fn sync(&self, end: i64, timeout: Duration) -> Result<(), Error> {
        let (done, wait) = oneshot::channel();
        self.requests
            .try_send(Request { end, done })
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::QueueFull,
                TrySendError::Disconnected(_) => Error::Closed,
            })?;
        match tokio::time::timeout(timeout, wait).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Error::Closed),
            Err(_) => Err(Error::Unavailable {
                doing: "reading the table to its end".to_owned(),
                source: None,
            }),
        }
    }
}

/// A map that is being read from the beginning, at start or because the topic was replaced under us.
struct Loading {
    begun: Instant,
    map: BTreeMap<String, Entry>,
    last: u64,
}

/// A check under way: the reader was sought to its own position; the next end-of-partition is true of a later moment.
struct Check {
    begun: Instant,
    serves: Vec<oneshot::Sender<()>>,
}

struct Follow {
    reader: Reader,
    topic: String,
    shared: Arc<Shared>,
    inbox: Receiver<Request>,
    /// Whoever waits for the first load.
    opener: Option<oneshot::Sender<Result<(), Error>>>,
    loading: Option<Loading>,
    pending: Vec<Request>,
    check: Option<Check>,
    applying: Vec<Applied>,
}

impl Follow {
    fn run(mut self) {
        if !self.begin() {
            return;
        }
        while self.take_requests() {
            self.begin_check();
            self.poll();
        }
    }

    /// Finds the topic and starts reading it. `false` if it can be no table, or nobody is left who wants it.
    fn begin(&mut self) -> bool {
        loop {
            match self.reader.partitions(&self.topic) {
                Ok(partitions) if partitions == [PARTITION] => {
                    self.load();
                    return true;
                }
                Ok(partitions) => {
                    let problem = format!("has {} partitions; a table must have exactly one", partitions.len());
                    self.opened(Err(Error::Topic {
                        topic: self.topic.clone(),
                        problem,
                    }));
                    return false;
                }
                Err(error) => self.shared.set_last_error(error),
            }
            if matches!(self.inbox.recv_timeout(ASK_AGAIN), Err(RecvTimeoutError::Disconnected)) {
                return false;
            }
        }
    }

    /// Reads everything from the beginning.
    fn load(&mut self) {
        self.loading = Some(Loading {
            begun: Instant::now(),
            map: BTreeMap::new(),
            last: 0,
        });
        if let Err(error) = self.reader.assign(&self.topic, &[(PARTITION, Position::Beginning)]) {
            self.shared.set_last_error(error);
        }
    }

    fn opened(&mut self, result: Result<(), Error>) {
        // Whoever opened the table may have given up.
        if let Some(opener) = self.opener.take() {
            drop(opener.send(result));
        }
    }

    /// `false` when the last handle is gone.
    fn take_requests(&mut self) -> bool {
        loop {
            match self.inbox.try_recv() {
                Ok(request) => self.pending.push(request),
                Err(TryRecvError::Empty) => return true,
                Err(TryRecvError::Disconnected) => return false,
            }
        }
    }

    fn begin_check(&mut self) {
        if self.loading.is_some() {
            return;
        }
        let now = Instant::now();
        if let Some(check) = &mut self.check {
            if now - check.begun < CHECK_TIMEOUT {
                return;
            }
            check.begun = now;
        } else {
            let due = self.shared.complete_at().is_none_or(|at| now - at >= CHECK_EVERY);
            let serves = self.ready_requests();
            if serves.is_empty() && !due {
                return;
            }
            self.check = Some(Check { begun: now, serves });
        }
        if let Some(position) = self.reader.position(PARTITION)
            && let Err(error) = self.reader.seek(PARTITION, position)
        {
            self.shared.set_last_error(error);
        }
    }

    /// Requests that a check begun now can answer: the end of what a committed reader may see has reached theirs. As long
    /// as a transaction is open it has not.
    fn ready_requests(&mut self) -> Vec<oneshot::Sender<()>> {
        self.pending.retain(|request| !request.done.is_closed());
        if self.pending.is_empty() {
            return Vec::new();
        }
        match self.reader.watermarks(&self.topic, PARTITION) {
            Ok((_, visible_end)) => self
                .pending
                .extract_if(.., |request| request.end <= visible_end)
                .map(|request| request.done)
                .collect(),
            Err(error) => {
                self.shared.set_last_error(error);
                Vec::new()
            }
        }
    }

    /// Takes what there is, waiting a little for the first, and applies it in one step.
    fn poll(&mut self) {
        let mut wait = POLL;
        let mut ended = false;
        while !ended && self.applying.len() < APPLY_MAX {
            let polled = match self.reader.poll(wait) {
                None => break,
                Some(polled) => polled,
            };
            wait = Duration::ZERO;
            match polled {
                Ok(Polled::Record(record)) => match applied(&record) {
                    Some((applied, mutation)) => {
                        if let Some(id) = mutation {
                            self.shared.saw_mutation(id, applied.revision);
                        }
                        self.applying.push(applied);
                    }
                    None => tracing::warn!(
                        kafka.topic = record.topic(),
                        kafka.offset = record.offset(),
                        "a record of the table has no readable key and is ignored"
                    ),
                },
                Ok(Polled::Eof { .. }) => ended = true,
                Err(error) => {
                    self.failed(error);
                    break;
                }
            }
        }
        match &mut self.loading {
            None => self.shared.apply(&mut self.applying),
            Some(loading) => {
                for applied in self.applying.drain(..) {
                    loading.last = applied.revision;
                    applied.to(&mut loading.map);
                }
            }
        }
        if ended {
            self.at_end();
        }
    }

    fn at_end(&mut self) {
        if let Some(loading) = self.loading.take() {
            self.shared.replace(loading.map, loading.last);
            self.shared.set_complete_at(loading.begun);
            self.opened(Ok(()));
        } else if let Some(check) = self.check.take() {
            self.shared.set_complete_at(check.begun);
            for done in check.serves {
                // A mutation that has given up does not listen any more.
                done.send(()).unwrap_or_default();
            }
        }
    }

    fn failed(&mut self, error: Error) {
        if matches!(error, Error::OffsetGone { .. }) {
            tracing::warn!(
                kafka.topic = self.topic,
                "the table's topic was replaced; loading it anew"
            );
            self.applying.clear();
            self.load();
            return;
        }
        tracing::debug!(
            kafka.topic = self.topic,
            error = &error as &dyn std::error::Error,
            "reading the table"
        );
        self.shared.set_last_error(error);
    }
}

/// The change that a record stands for, and the mutation that wrote it.
fn applied<'a>(record: &'a RecordView<'_>) -> Option<(Applied, Option<&'a [u8]>)> {
    let key = std::str::from_utf8(record.key()?).ok()?.to_owned();
    let revision = u64::try_from(record.offset() + 1).ok()?;
    let value = record.payload().map(Bytes::copy_from_slice);
    Some((Applied { key, value, revision }, record.header(MUTATION_ID)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InProcessBroker;

    async fn wait_until_alone(shared: &Arc<Shared>) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Arc::strong_count(shared) > 1 {
            assert!(Instant::now() < deadline, "the thread is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    #[tokio::test]
    async fn the_thread_ends_with_its_handle() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let shared = Arc::new(Shared::default());
        let (opener, opened) = oneshot::channel();
        let follower = Follower::start(&broker.config(), "lytics.control", shared.clone(), opener).unwrap();
        opened.await.unwrap().unwrap();
        assert_eq!(Arc::strong_count(&shared), 2);
        drop(follower);
        wait_until_alone(&shared).await;
    }

    #[tokio::test]
    async fn the_thread_of_a_table_that_never_opened_ends_too() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let config = broker.config();
        drop(broker);
        let shared = Arc::new(Shared::default());
        let (opener, opened) = oneshot::channel();
        drop(Follower::start(&config, "lytics.control", shared.clone(), opener).unwrap());
        wait_until_alone(&shared).await;
        assert!(opened.await.is_err());
    }
}
