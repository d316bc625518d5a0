use std::time::Duration;

use kafka::testing::{self, InProcessBroker};
use kafka::{Disposition, Error, ReaderOptions, RecordOut, Topics, TransactionalWriter};

use crate::read_all;

const TIMEOUT: Duration = Duration::from_secs(10);

fn record(topic: &str, payload: &'static str) -> RecordOut {
    RecordOut::new(topic).partition(0).key("k").payload(payload)
}

#[tokio::test]
async fn a_commit_is_acknowledged_record_by_record() {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    let topic = Topics::new(&config).export_progress();
    let mut writer = TransactionalWriter::init(&config, "workspace", TIMEOUT).unwrap();
    assert_eq!(writer.commit(Vec::new()).unwrap(), []);
    let acks = writer.commit(vec![record(&topic, "a"), record(&topic, "b")]).unwrap();
    writer.commit(vec![record(&topic, "c")]).unwrap();
    let found = read_all(&config, &topic, ReaderOptions::default());
    let payloads: Vec<_> = found.iter().map(|read| read.payload.as_deref().unwrap()).collect();
    assert_eq!(payloads, ["a", "b", "c"]);
    assert_eq!(
        acks.iter().map(|ack| ack.offset).collect::<Vec<_>>(),
        [found[0].offset, found[1].offset]
    );
}

#[tokio::test]
async fn a_record_too_large_aborts_its_transaction_and_the_writer_goes_on() {
    let Some(config) =
        testing::real_only("transaction::a_record_too_large_aborts_its_transaction_and_the_writer_goes_on")
    else {
        return;
    };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let topic = Topics::new(&config).control();
    let mut writer = TransactionalWriter::init(&config, "writer", TIMEOUT).unwrap();
    // Refused by the broker, then by the client.
    for bytes in [2 << 20, 12 << 20] {
        let large = RecordOut::new(&topic).partition(0).key("k").payload(vec![b'x'; bytes]);
        let error = writer.commit(vec![record(&topic, "lost"), large]).unwrap_err();
        assert!(matches!(error, Error::TooLarge { .. }), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Reject);
    }
    writer.commit(vec![record(&topic, "kept")]).unwrap();
    let found = read_all(&config, &topic, ReaderOptions::default());
    assert_eq!(
        found
            .iter()
            .map(|read| read.payload.as_deref().unwrap())
            .collect::<Vec<_>>(),
        ["kept"]
    );
}

#[tokio::test]
async fn a_predecessor_is_fenced_and_writes_nothing() {
    let Some(config) = testing::real_only("transaction::a_predecessor_is_fenced_and_writes_nothing") else {
        return;
    };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let topic = Topics::new(&config).export_progress();
    let mut first = TransactionalWriter::init(&config, "workspace", TIMEOUT).unwrap();
    first.commit(vec![record(&topic, "first")]).unwrap();
    let mut second = TransactionalWriter::init(&config, "workspace", TIMEOUT).unwrap();
    for _ in 0..2 {
        let error = first.commit(vec![record(&topic, "late")]).unwrap_err();
        assert!(matches!(error, Error::Fenced { .. }), "{error:?}");
        assert_eq!(error.disposition(), Disposition::Stop);
    }
    second.commit(vec![record(&topic, "second")]).unwrap();
    let found = read_all(&config, &topic, ReaderOptions::default());
    let payloads: Vec<_> = found.iter().map(|read| read.payload.as_deref().unwrap()).collect();
    assert_eq!(payloads, ["first", "second"]);
}

#[tokio::test]
async fn without_a_broker_the_writer_gives_up_in_time() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let config = broker.config();
    drop(broker);
    let error = TransactionalWriter::init(&config, "workspace", Duration::from_secs(1))
        .err()
        .unwrap();
    assert!(matches!(error, Error::Unavailable { .. }), "{error:?}");
}

#[tokio::test]
async fn an_aborted_commit_writes_nothing_and_the_writer_goes_on() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let config = broker.config();
    let topic = Topics::new(&config).export_progress();
    let mut writer = TransactionalWriter::init(&config, "workspace", TIMEOUT).unwrap();
    broker.abort_next_commit().unwrap();
    let error = writer.commit(vec![record(&topic, "lost")]).unwrap_err();
    assert!(matches!(error, Error::Aborted { .. }), "{error:?}");
    writer.commit(vec![record(&topic, "kept")]).unwrap();
    let found = read_all(&config, &topic, ReaderOptions::default());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].payload.as_deref(), Some("kept"));
}
