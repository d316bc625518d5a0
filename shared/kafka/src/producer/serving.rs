//! The thread that serves a producer's delivery reports. rdkafka has one too, which wakes ten times a second for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::producer::{BaseProducer, Producer};

use crate::delivery::{Delivery, Slot, base_record};
use crate::{Error, RecordOut};

/// How long the thread serves reports before it looks whether there are any more to come.
const SERVE: Duration = Duration::from_millis(100);

/// A producer whose reports are served; the thread ends with it.
pub(super) struct Serving {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    producer: BaseProducer<Delivery>,
    ending: AtomicBool,
}

impl Serving {
    /// Whenever nothing is outstanding the thread does `rest`, which parks it.
    pub(super) fn start(settings: &ClientConfig, rest: impl Fn() + Send + 'static) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            producer: BaseProducer::from_config_and_context(settings, Delivery).map_err(Error::Config)?,
            ending: AtomicBool::new(false),
        });
        let served = Arc::clone(&shared);
        let run = move || {
            while !served.ending.load(Ordering::Acquire) {
                if served.producer.in_flight_count() > 0 {
                    served.producer.poll(SERVE);
                } else {
                    rest();
                }
            }
        };
        let thread = thread::Builder::new().name("kafka-publisher".to_owned());
        Ok(Self {
            shared,
            thread: Some(thread.spawn(run).map_err(|_| Error::Closed)?),
        })
    }

    pub(super) fn producer(&self) -> &BaseProducer<Delivery> {
        &self.shared.producer
    }

    /// Hands a record over. If it is refused, the slot is told why, too.
    pub(super) fn send(&self, record: &RecordOut, slot: Box<Slot>) -> Result<(), Error> {
        let sent = self.shared.producer.send(base_record(record, slot));
        self.wake();
        sent.map_err(|(error, refused)| {
            let error = Error::of_produce(error, &record.topic, record.bytes());
            refused.delivery_opaque.fill(Err(error.clone()));
            error
        })
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // It does nothing that could panic.
            thread.join().unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::delivery::Latch;
    use crate::testing::InProcessBroker;
    use crate::{Topics, client};

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test]
    async fn a_thread_at_rest_is_woken_by_what_is_sent_and_by_the_end() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let config = broker.config();
        let (rests, resting) = sync_channel(1);
        let rest = move || {
            // The test may have looked away.
            rests.try_send(()).unwrap_or_default();
            thread::park();
        };
        let serving = Serving::start(&client::producer_settings(&config), rest).unwrap();
        resting.recv_timeout(PATIENCE).unwrap();
        let records = [RecordOut::new(Topics::new(&config).profile_events())];
        let (latch, results) = Latch::new(&records);
        serving.send(&records[0], latch.slot(0)).unwrap();
        let reported = tokio::time::timeout(PATIENCE, results).await;
        assert!(reported.is_ok(), "nobody has served the report");
        resting.recv_timeout(PATIENCE).unwrap();
        let (end, ended) = sync_channel(1);
        thread::spawn(move || {
            drop(serving);
            end.send(())
        });
        assert!(ended.recv_timeout(PATIENCE).is_ok(), "the thread rests on");
    }
}
