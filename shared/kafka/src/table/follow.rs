//! The thread that keeps the map current.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::thread::{self, Thread};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::map::{Applied, Entry, Shared};
use crate::headers::MUTATION_ID;
use crate::{Config, Error, Polled, Position, Reader, ReaderOptions, RecordView};

/// The only partition.
pub(super) const PARTITION: i32 = 0;
/// How long the thread rests unless it is woken.
const REST: Duration = Duration::from_secs(1);
/// How long Kafka holds back the answer that there is nothing new. Only a check waits for that, and nobody for a check.
const FETCH_WAIT: Duration = Duration::from_millis(500);
/// How often an idle table checks that it is complete.
const CHECK_EVERY: Duration = Duration::from_secs(3);
/// When the check of a table that is written to all the time asks for the end: Kafka answers it with what is new, and never says
/// that there is nothing.
const CHECK_ASKS_AFTER: Duration = Duration::from_secs(1);
/// A check that has not ended by then is begun anew.
const CHECK_TIMEOUT: Duration = Duration::from_secs(5);
/// How long to wait before asking again for a topic that was not found.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// Records applied in one step at most.
const APPLY_MAX: usize = 1000;

/// A request to be told when this revision has been applied.
struct Request {
    revision: u64,
    done: oneshot::Sender<()>,
}

/// Handle of the thread; the thread ends when it is dropped.
pub(super) struct Follower {
    requests: SyncSender<Request>,
    // Dropped after the requests.
    thread: Wake,
}

/// Wakes a thread, when dropped for the last time.
struct Wake(Thread);

impl Drop for Wake {
    fn drop(&mut self) {
        self.0.unpark();
    }
}

impl Follower {
    pub(super) fn start(
        config: &Config,
        topic: &str,
        shared: Arc<Shared>,
        loaded: oneshot::Sender<Result<(), Error>>,
    ) -> Result<Self, Error> {
        Self::start_with(config, topic, shared, loaded, || thread::park_timeout(REST))
    }

    fn start_with(
        config: &Config,
        topic: &str,
        shared: Arc<Shared>,
        loaded: oneshot::Sender<Result<(), Error>>,
        rest: impl Fn() + Send + 'static,
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
        let thread = thread::Builder::new().name("kafka-table".to_owned());
        let thread = thread.spawn(move || follow.run(rest));
        let thread = thread.map_err(|_| Error::Closed)?.thread().clone();
        Ok(Self {
            requests,
            thread: Wake(thread),
        })
    }

    /// Waits until the map is complete up to this revision.
    pub(super) async fn sync(&self, revision: u64, timeout: Duration) -> Result<(), Error> {
        let (done, wait) = oneshot::channel();
        self.requests
            .try_send(Request { revision, done })
            .map_err(|error| match error {
                TrySendError::Full(_) => Error::QueueFull,
                TrySendError::Disconnected(_) => Error::Closed,
            })?;
        self.thread.0.unpark();
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
    /// The end at a moment since: whoever has read so far was complete then.
    end: Option<(i64, Instant)>,
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
    /// `rest` parks the thread: it is woken by what can be read, by a request, and by the end of the handle.
    fn run(mut self, rest: impl Fn()) {
        let this = thread::current();
        self.reader.on_ready(move || this.unpark());
        if !self.begin() {
            return;
        }
        while self.take_requests() {
            self.answer();
            self.begin_check();
            if !self.poll() {
                rest();
            }
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
        self.check = None;
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

    fn answer(&mut self) {
        if self.loading.is_some() || self.pending.is_empty() {
            return;
        }
        let applied = *self.shared.applied().borrow();
        for request in self.pending.extract_if(.., |request| request.revision <= applied) {
            // A mutation that has given up does not listen any more.
            request.done.send(()).unwrap_or_default();
        }
        self.pending.retain(|request| !request.done.is_closed());
    }

    fn begin_check(&mut self) {
        let now = Instant::now();
        let due = match &mut self.check {
            Some(check) if now - check.begun < CHECK_TIMEOUT => {
                if check.end.is_none() && now - check.begun >= CHECK_ASKS_AFTER {
                    let end = self.reader.watermarks(&self.topic, PARTITION);
                    check.end = end.ok().map(|(_, end)| (end, now));
                }
                false
            }
            Some(_) => true,
            None => self.shared.complete_at().is_none_or(|at| now - at >= CHECK_EVERY),
        };
        if self.loading.is_some() || !due {
            return;
        }
        self.check = Some(Check { begun: now, end: None });
        if let Some(position) = self.reader.position(PARTITION)
            && let Err(error) = self.reader.seek(PARTITION, position)
        {
            self.shared.set_last_error(error);
        }
    }

    /// Takes what there is and applies it in one step. Whether there was anything.
    fn poll(&mut self) -> bool {
        let (mut found, mut ended) = (false, false);
        while !ended && self.applying.len() < APPLY_MAX {
            let Some(polled) = self.reader.poll(Duration::ZERO) else {
                break;
            };
            found = true;
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
        } else if let Some((end, asked)) = self.check.as_ref().and_then(|check| check.end)
            && matches!(self.reader.position(PARTITION), Some(Position::At(next)) if next >= end)
        {
            self.check = None;
            self.shared.set_complete_at(asked);
        }
        found
    }

    fn at_end(&mut self) {
        if let Some(loading) = self.loading.take() {
            self.shared.replace(loading.map, loading.last);
            self.shared.set_complete_at(loading.begun);
            self.opened(Ok(()));
        } else if let Some(check) = self.check.take() {
            self.shared.set_complete_at(check.begun);
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
pub(super) fn applied<'a>(record: &'a RecordView<'_>) -> Option<(Applied, Option<&'a [u8]>)> {
    let key = std::str::from_utf8(record.key()?).ok()?.to_owned();
    let revision = u64::try_from(record.offset() + 1).ok()?;
    let value = record.payload().map(Bytes::copy_from_slice);
    Some((Applied { key, value, revision }, record.header(MUTATION_ID)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InProcessBroker;
    use crate::{Publisher, PublisherOptions, RecordOut};

    const PATIENCE: Duration = Duration::from_secs(20);

    async fn wait_until_alone(shared: &Arc<Shared>) {
        let deadline = Instant::now() + PATIENCE;
        while Arc::strong_count(shared) > 1 {
            assert!(Instant::now() < deadline, "the thread is still there");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// One that has read to the end and would rest for ever: it sees nothing that it is not woken for.
    async fn at_rest(config: &Config, shared: &Arc<Shared>) -> (Follower, Receiver<()>) {
        let ((opener, opened), (rests, resting)) = (oneshot::channel(), sync_channel(1));
        let known = shared.clone();
        let rest = move || {
            // Only a rest after the end counts, and only the first one that is not looked at yet.
            if known.complete_at().is_some() {
                rests.try_send(()).unwrap_or_default();
            }
            thread::park();
        };
        let follower = Follower::start_with(config, "lytics.control", shared.clone(), opener, rest).unwrap();
        let opened = tokio::time::timeout(PATIENCE, opened).await;
        opened.expect("the end is never read").unwrap().unwrap();
        resting.recv_timeout(PATIENCE).unwrap();
        (follower, resting)
    }

    #[tokio::test]
    async fn a_thread_at_rest_is_woken_by_a_request_and_by_the_end_of_its_handle() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let shared = Arc::new(Shared::default());
        let (follower, resting) = at_rest(&broker.config(), &shared).await;
        follower.sync(0, PATIENCE).await.unwrap();
        resting.recv_timeout(PATIENCE).unwrap();
        drop(follower);
        wait_until_alone(&shared).await;
    }

    #[tokio::test]
    async fn a_thread_at_rest_is_woken_by_a_record() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let config = broker.config();
        let shared = Arc::new(Shared::default());
        let _follower = at_rest(&config, &shared).await;
        let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();
        let record = RecordOut::new("lytics.control")
            .partition(PARTITION)
            .key("a")
            .payload("one");
        publisher.publish(record).await.unwrap();
        let mut applied = shared.applied();
        let read = applied.wait_for(|applied| *applied == 1);
        let read = tokio::time::timeout(PATIENCE, read).await.map(drop);
        assert!(read.is_ok(), "nobody has read the record");
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
