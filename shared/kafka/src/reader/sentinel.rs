//! One thread per process that looks after its readers: one that has lost Kafka for good is told nothing, so it cannot know.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};

use super::commits::Commits;
use crate::Config;
use crate::client::ASK_TIMEOUT;
use crate::lost::{LOOK_EVERY, Looks, is_cut_off};

/// Told when there is something to poll.
pub(super) type Ready = Arc<dyn Fn() + Send + Sync>;

/// What a reader and the sentinel know of each other.
#[derive(Default)]
pub(super) struct Pulse {
    /// Goes up with everything that the reader is told.
    pub(super) heard: AtomicU64,
    /// The reader's client hears of Kafka never again.
    pub(super) lost: AtomicBool,
}

/// A reader that is looked after.
pub(super) struct Watched {
    pub(super) consumer: Weak<BaseConsumer<Commits>>,
    pub(super) config: Arc<Config>,
    pub(super) topic: String,
    pub(super) ready: Option<Ready>,
    pub(super) pulse: Arc<Pulse>,
    /// When it was looked at last.
    pub(super) heard: u64,
    pub(super) looks: Looks,
}

static WATCHED: LazyLock<Mutex<Vec<Watched>>> = LazyLock::new(|| {
    // Without a thread nobody is looked after.
    drop(thread::Builder::new().name("kafka-sentinel".to_owned()).spawn(run));
    Mutex::default()
});

/// Looks after a reader until its client is dropped.
pub(super) fn watch(watched: Watched) {
    WATCHED.lock().unwrap_or_else(PoisonError::into_inner).push(watched);
}

fn run() {
    let mut watched = Vec::new();
    loop {
        thread::park_timeout(LOOK_EVERY);
        watched.append(&mut WATCHED.lock().unwrap_or_else(PoisonError::into_inner));
        watched.retain_mut(|watched| watched.look(ASK_TIMEOUT));
    }
}

impl Watched {
    /// Looks whether the client, if it has been told nothing since the last look, is lost. False if there is no need to look again.
    fn look(&mut self, timeout: Duration) -> bool {
        let Some(consumer) = self.consumer.upgrade() else {
            return false;
        };
        let heard = self.pulse.heard.load(Ordering::Relaxed);
        let silent = std::mem::replace(&mut self.heard, heard) == heard;
        let cut_off = silent && is_cut_off(consumer.client(), &self.config, &self.topic, timeout);
        if !self.looks.see(cut_off) {
            return true;
        }
        tracing::warn!(
            "the reader of topic {} has lost Kafka, while others reach it: it gets a new client",
            self.topic
        );
        self.pulse.lost.store(true, Ordering::Release);
        if let Some(ready) = &self.ready {
            ready();
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::testing::InProcessBroker;
    use crate::{Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions, RecordOut};

    fn broker() -> InProcessBroker {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        broker.create_topic("t", 1).unwrap();
        broker
    }

    async fn publish(config: &Config, payload: &'static str) {
        let publisher = Publisher::new(config, PublisherOptions::default()).unwrap();
        publisher.publish(RecordOut::new("t").payload(payload)).await.unwrap();
    }

    /// The next records, as far as they come soon.
    fn read(reader: &mut Reader, count: usize) -> Vec<String> {
        let mut read = Vec::new();
        while read.len() < count {
            match reader.poll(Duration::from_secs(30)).expect("there is more") {
                Ok(Polled::Record(record)) => {
                    read.push(String::from_utf8(record.payload().unwrap().to_vec()).unwrap());
                }
                Ok(Polled::Eof { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        read
    }

    #[tokio::test]
    async fn a_reader_whose_client_is_lost_goes_on_with_a_new_one_where_it_was() {
        let broker = broker();
        let config = broker.config();
        for payload in ["a", "b"] {
            publish(&config, payload).await;
        }
        let (tell, told) = sync_channel(1);
        let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
        reader.on_ready(move || tell.try_send(()).unwrap_or_default());
        reader.assign("t", &[(0, Position::Beginning)]).unwrap();
        assert_eq!(read(&mut reader, 1), ["a"]);
        let lost = Arc::downgrade(reader.consumer.as_ref().unwrap());
        reader.pulse.lost.store(true, Ordering::Release);
        assert_eq!(read(&mut reader, 1), ["b"]);
        assert!(lost.upgrade().is_none(), "the old client is gone");
        while reader.poll(Duration::ZERO).is_some() {}
        told.try_recv().unwrap_or_default();
        publish(&config, "c").await;
        assert!(
            told.recv_timeout(Duration::from_secs(30)).is_ok(),
            "the new client says that there is more"
        );
        assert_eq!(read(&mut reader, 1), ["c"]);
    }

    #[test]
    fn a_client_that_hears_nothing_is_lost_once_others_reach_kafka_again_and_again() {
        let (here, there) = (broker(), broker());
        let mut reader = Reader::open(&here.config(), ReaderOptions::default()).unwrap();
        reader.assign("t", &[(0, Position::Beginning)]).unwrap();
        let (tell, told) = sync_channel(1);
        let mut watched = Watched {
            consumer: Arc::downgrade(reader.consumer.as_ref().unwrap()),
            config: Arc::new(here.config()),
            topic: "t".to_owned(),
            ready: Some(Arc::new(move || tell.try_send(()).unwrap_or_default())),
            pulse: Arc::clone(&reader.pulse),
            heard: 0,
            looks: Looks::default(),
        };
        here.down().unwrap();
        let looks = |watched: &mut Watched, looks| {
            (0..looks).all(|_| watched.look(Duration::from_millis(300)) && !reader.pulse.lost.load(Ordering::Acquire))
        };
        assert!(looks(&mut watched, 3), "nobody reaches it");
        watched.config = Arc::new(there.config());
        reader.pulse.heard.fetch_add(1, Ordering::Relaxed);
        assert!(looks(&mut watched, 1), "it has heard something");
        // A new client may take longer than a look does on a busy machine.
        while watched.look(Duration::from_secs(2)) {}
        assert!(reader.pulse.lost.load(Ordering::Acquire));
        assert!(told.try_recv().is_ok(), "who reads is woken");
        drop(reader);
        assert!(!watched.look(Duration::ZERO), "nobody reads any more");
    }
}
