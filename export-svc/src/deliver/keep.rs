//! What Braze refuses for good is kept on the rejected topic before it is settled.

use std::time::Duration;

use kafka::{Disposition, RecordOut};
use prost::Message;
use proto::export::v1::RejectedChange;

use super::Deliverer;
use crate::pipeline::Event;
use crate::workspace::{Fate, Place, Workspace};

/// So many bytes are published without waiting for the end of a round of reading.
const MUCH_BYTES: usize = 64 << 10;
/// First and longest wait before a record is published to the rejected topic again.
const KEEP_AGAIN: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// Of a record that is no change and too large to be kept, this much is.
const CUT_BYTES: usize = 16 << 10;

/// Records for the rejected topic, and what is settled, and how, once they are there.
#[derive(Debug, Default)]
pub(crate) struct ToKeep {
    places: Vec<(Place, Fate)>,
    records: Vec<RecordOut>,
    bytes: usize,
}

impl ToKeep {
    pub(crate) fn add(&mut self, place: Place, fate: Fate, record: RecordOut) {
        self.bytes += record.payload.as_ref().map_or(0, |payload| payload.len());
        self.places.push((place, fate));
        self.records.push(record);
    }
}

impl Deliverer {
    /// Publishes records to the rejected topic until Kafka has all of them; then they are settled. A record that is too large
    /// for the topic is kept shortened. Whatever else is wrong, somebody must mend: it is tried on, and the jobs' status says
    /// so meanwhile.
    fn keep(&self, to_keep: ToKeep) {
        let ToKeep {
            places, mut records, ..
        } = to_keep;
        let (publisher, events) = (self.publisher.clone(), self.events.clone());
        let keep = async move {
            let mut wait = KEEP_AGAIN.0;
            loop {
                let results = publisher.publish_all(records.clone()).await;
                let (mut left, mut trouble) = (Vec::new(), None);
                for (record, result) in records.into_iter().zip(results) {
                    match result {
                        Ok(_) => {}
                        Err(error) => match shortened(&record).filter(|_| error.disposition() == Disposition::Reject) {
                            Some(shorter) => left.push(shorter),
                            None => {
                                left.push(record);
                                trouble = Some(error);
                            }
                        },
                    }
                }
                records = left;
                if records.is_empty() {
                    break;
                }
                if let Some(error) = trouble {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "{} rejected changes are not on their topic yet; trying again in {wait:?}",
                        records.len()
                    );
                    let reason = format!("rejected changes cannot be kept: {error}");
                    if matches!(error, kafka::Error::Closed) || events.send(Event::NotKept { reason }).await.is_err() {
                        // The workspace is gone; whoever serves it next is handed these changes again.
                        return;
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(KEEP_AGAIN.1);
                }
            }
            drop(events.send(Event::Kept { places }).await);
        };
        self.tasks.spawn_on(keep, &self.runtime);
    }
}

impl Workspace {
    pub(super) fn keep(&mut self, to_keep: ToKeep, deliverer: &Deliverer) {
        if !to_keep.records.is_empty() {
            self.keeping += 1;
            deliverer.keep(to_keep);
        }
    }

    /// At the end of a round of reading.
    pub(crate) fn keep_all(&mut self, deliverer: &Deliverer) {
        let to_keep = std::mem::take(&mut self.to_keep);
        self.keep(to_keep, deliverer);
    }

    /// Within a round of reading: a round of large records is not collected whole.
    pub(crate) fn keep_what_is_much(&mut self, deliverer: &Deliverer) {
        if self.to_keep.bytes >= MUCH_BYTES {
            self.keep_all(deliverer);
        }
    }

    /// Kept on the rejected topic: settled.
    pub(crate) fn kept(&mut self, places: Vec<(Place, Fate)>) {
        self.keeping = self.keeping.saturating_sub(1);
        self.not_kept = None;
        for (place, fate) in places {
            self.settle(place, fate);
        }
        self.touch();
    }

    /// The rejected topic does not take what must be kept.
    pub(crate) fn not_kept(&mut self, reason: String) {
        self.not_kept = Some(reason);
        self.touch();
    }
}

/// The same record with less in it, which says so; `None` if it has nothing more to give.
fn shortened(record: &RecordOut) -> Option<RecordOut> {
    let mut rejected = RejectedChange::decode(record.payload.clone()?).ok()?;
    let left_out = if rejected.raw.len() > CUT_BYTES {
        let whole = rejected.raw.len();
        rejected.raw.truncate(CUT_BYTES);
        format!("of its {whole} bytes only the first {CUT_BYTES} are kept")
    } else {
        let change = rejected.change.as_mut()?;
        if change.fields.is_empty() && change.previous_fields.is_empty() {
            return None;
        }
        change.fields.clear();
        change.previous_fields.clear();
        "its fields are left out".to_owned()
    };
    if !rejected.detail.is_empty() {
        rejected.detail.push_str("; ");
    }
    rejected.detail.push_str(&left_out);
    rejected.detail.push_str(", for it is too large for this topic");
    let mut shorter = record.clone();
    shorter.payload = Some(rejected.encode_to_vec().into());
    Some(shorter)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use control::sealing::Sealer;
    use kafka::headers;
    use kafka::testing::InProcessBroker;
    use kafka::{Publisher, PublisherOptions};
    use proto::membership::v1::MembershipChange;
    use tokio::sync::mpsc;
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::clock::Clock;
    use crate::health::Health;
    use crate::lease::Lease;

    fn rejected(field: String) -> RecordOut {
        let rejected = RejectedChange {
            job: "j".into(),
            change: Some(MembershipChange {
                profile_id: "42".into(),
                fields: [("user_id".into(), field)].into(),
                ..MembershipChange::default()
            }),
            reason: "value".into(),
            offset: 7,
            ..RejectedChange::default()
        };
        RecordOut::new("t")
            .key("j")
            .payload(rejected.encode_to_vec())
            .header(headers::MESSAGE_TYPE, "lytics.export.v1.RejectedChange")
    }

    #[test]
    fn a_change_that_is_too_large_is_kept_without_its_fields_and_says_so_once() {
        let record = rejected("x".repeat(1_000));
        let shorter = shortened(&record).unwrap();
        assert_eq!((&shorter.key, &shorter.headers), (&record.key, &record.headers));
        let kept = RejectedChange::decode(shorter.payload.clone().unwrap()).unwrap();
        assert_eq!((kept.offset, kept.change.unwrap().profile_id.as_str()), (7, "42"));
        assert_eq!(
            (kept.reason.as_str(), kept.detail.as_str()),
            ("value", "its fields are left out, for it is too large for this topic")
        );
        assert_eq!(shortened(&shorter), None);
    }

    #[test]
    fn bytes_that_are_too_large_are_cut_and_say_how_many_they_were() {
        let rejected = RejectedChange {
            detail: "the value is no MembershipChange".into(),
            raw: vec![0xff; CUT_BYTES + 1].into(),
            ..RejectedChange::default()
        };
        let shorter = shortened(&RecordOut::new("t").payload(rejected.encode_to_vec())).unwrap();
        let kept = RejectedChange::decode(shorter.payload.clone().unwrap()).unwrap();
        assert_eq!(kept.raw.len(), CUT_BYTES);
        assert_eq!(
            kept.detail,
            "the value is no MembershipChange; of its 16385 bytes only the first 16384 are kept, for it is too large for this topic"
        );
        assert_eq!(shortened(&shorter), None);
    }

    fn to_keep(records: Vec<RecordOut>) -> ToKeep {
        ToKeep {
            records,
            ..ToKeep::default()
        }
    }

    fn deliverer(broker: &InProcessBroker) -> (Deliverer, mpsc::Receiver<Event>) {
        let (events, received) = mpsc::channel(8);
        let client = braze::Client::new(braze::ClientOptions::default()).unwrap();
        let sealer = Sealer::from_config(&"k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=".into());
        let deliverer = Deliverer {
            health: Health::new(client.clone(), Arc::new(sealer.unwrap())),
            client,
            publisher: Publisher::new(&broker.config(), PublisherOptions::default()).unwrap(),
            runtime: tokio::runtime::Handle::current(),
            tasks: TaskTracker::new(),
            events,
            lease: Lease::new(Clock::start(), Duration::from_secs(5)),
        };
        (deliverer, received)
    }

    #[tokio::test]
    async fn what_kafka_finds_too_large_is_settled_all_the_same() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        broker.create_topic("t", 1).unwrap();
        let (deliverer, mut events) = deliverer(&broker);
        deliverer.keep(to_keep(vec![rejected("x".repeat(20 << 20)), rejected("short".into())]));
        let event = tokio::time::timeout(Duration::from_secs(30), events.recv())
            .await
            .expect("it ends");
        assert!(matches!(event, Some(Event::Kept { .. })), "{event:?}");
    }

    #[tokio::test]
    async fn what_somebody_must_mend_is_said_for_as_long_as_somebody_listens() {
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let (deliverer, mut events) = deliverer(&broker);
        // Nothing can be left out of a tombstone that is too large by its key.
        let too_large = RecordOut::new("t").key(vec![b'k'; 20 << 20]);
        deliverer.keep(to_keep(vec![too_large]));
        for _ in 0..2 {
            let event = tokio::time::timeout(Duration::from_secs(30), events.recv())
                .await
                .expect("it is said");
            let Some(Event::NotKept { reason }) = event else {
                panic!("{event:?}")
            };
            assert!(reason.contains("too large"), "{reason}");
        }
        drop(events);
        deliverer.tasks.close();
        tokio::time::timeout(Duration::from_secs(30), deliverer.tasks.wait())
            .await
            .expect("nobody listens any more");
    }
}
