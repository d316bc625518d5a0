use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use kafka::testing::{self, Brokers, InProcessBroker};
use kafka::{
    Change, Config, Error, MutateError, Polled, Position, Publisher, PublisherOptions, Reader, ReaderOptions,
    RecordOut, Table, Topics, TransactionalWriter, headers,
};
use tokio::task::JoinSet;

use crate::wait_until;

const ID: &str = "control";
const TYPE: &str = "lytics.control.v1.ControlRecord";

async fn open(config: &Config) -> Table {
    Table::open(config, &Topics::new(config).control(), ID, TYPE)
        .await
        .unwrap()
}

/// As [`open`], as if in another process: spelt differently, the broker's address makes another turn to wait for.
async fn open_elsewhere(config: &Config) -> Table {
    open(&Config {
        brokers: format!("{0},{0}", config.brokers),
        ..config.clone()
    })
    .await
}

async fn broker() -> (Brokers, Config) {
    let brokers = testing::brokers();
    brokers.ensure_topics(&[]).await.unwrap();
    let config = brokers.config();
    (brokers, config)
}

fn put(key: &str, value: impl Into<String>) -> Change {
    Change::Put {
        key: key.to_owned(),
        value: value.into().into(),
    }
}

async fn set(table: &Table, key: &'static str, value: &'static str) -> u64 {
    let (_, revisions) = table
        .mutate(move |_| Ok::<_, ()>((vec![put(key, value)], ())))
        .await
        .unwrap();
    assert_eq!(revisions.len(), 1);
    revisions[0]
}

fn value(table: &Table, key: &str) -> Option<String> {
    table
        .get(key)
        .map(|entry| String::from_utf8(entry.value.to_vec()).unwrap())
}

#[tokio::test]
async fn a_mutation_is_visible_here_at_once_elsewhere_within_a_second_and_after_a_restart() {
    let (_brokers, config) = broker().await;
    let (here, elsewhere) = (open(&config).await, open_elsewhere(&config).await);
    assert!(here.is_fresh(tokio::time::Instant::now()));
    let mut changed = elsewhere.changed();

    let first = set(&here, "a/1", "one").await;
    let written = Instant::now();
    assert_eq!(here.get("a/1").map(|entry| entry.revision), Some(first));
    changed.wait_for(|applied| *applied >= first).await.unwrap();
    assert!(written.elapsed() < Duration::from_secs(1), "{:?}", written.elapsed());
    assert_eq!(value(&elsewhere, "a/1").as_deref(), Some("one"));

    let second = set(&elsewhere, "a/2", "two").await;
    assert!(second > first);
    let (_, revisions) = elsewhere
        .mutate(|_| Ok::<_, ()>((vec![put("b", "three"), Change::Delete { key: "a/1".to_owned() }], ())))
        .await
        .unwrap();
    assert_eq!(revisions.len(), 2);
    assert_eq!(
        (elsewhere.get("a/1"), value(&elsewhere, "b").as_deref()),
        (None, Some("three"))
    );

    drop((here, elsewhere));
    let later = open(&config).await;
    assert_eq!(
        later.scan("a/").into_iter().map(|(key, _)| key).collect::<Vec<_>>(),
        ["a/2"]
    );
    assert_eq!(later.get("b").map(|entry| entry.revision), Some(revisions[0]));
}

#[tokio::test]
async fn what_the_deciding_function_refuses_is_not_written() {
    let (_brokers, config) = broker().await;
    let table = open(&config).await;
    let revision = set(&table, "a", "one").await;
    let decide = move |view: &kafka::View| match view.get("a") {
        Some(entry) if entry.revision == revision => Err("exists"),
        _ => Ok((vec![put("a", "two")], ())),
    };
    assert!(matches!(
        table.mutate(decide).await,
        Err(MutateError::Decided("exists"))
    ));
    assert_eq!(table.mutate(|_| Ok::<_, ()>((vec![], 5))).await.unwrap(), (5, vec![]));
    assert_eq!(table.get("a").map(|entry| entry.revision), Some(revision));
}

/// Proven by two decisions that wait for each other, in vain.
#[tokio::test(flavor = "multi_thread")]
async fn mutations_of_one_process_take_turns_whichever_table_they_go_through() {
    let (_brokers, config) = broker().await;
    let deciding = Arc::new((Mutex::new(0), Condvar::new()));
    let mut mutations = JoinSet::new();
    for key in ["a", "b"] {
        let (table, deciding) = (open(&config).await, deciding.clone());
        mutations.spawn(async move {
            let decide = move |_: &kafka::View| {
                let (count, met) = &*deciding;
                let mut count = count.lock().unwrap();
                *count += 1;
                met.notify_all();
                let (mut count, waited) = met
                    .wait_timeout_while(count, Duration::from_secs(2), |count| *count < 2)
                    .unwrap();
                *count -= 1;
                if waited.timed_out() {
                    Ok((vec![put(key, "done")], ()))
                } else {
                    Err("met another")
                }
            };
            table.mutate(decide).await
        });
    }
    let results = mutations.join_all().await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

/// Two tables of one process, many writers at once; every one counts up by compare-and-set, so a lost update shows.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_tables_in_one_process_every_revision_has_one_winner() {
    let (_brokers, config) = broker().await;
    let tables = [open(&config).await, open(&config).await];
    count_up(&tables, 4).await;
}

/// The same with tables that do not know of each other: only fencing keeps them apart.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_every_revision_has_one_winner() {
    let Some(config) = testing::real_only("table::of_two_processes_every_revision_has_one_winner") else {
        return;
    };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let tables = [open(&config).await, open_elsewhere(&config).await];
    count_up(&tables, 3).await;
}

/// Each writer tries to replace the value it saw by one more. A win is recorded with the revision it was based on.
async fn count_up(tables: &[Table; 2], writers_each: usize) {
    set(&tables[0], "n", "0").await;
    wait_until("both see the first", || {
        tables.iter().all(|table| table.get("n").is_some())
    })
    .await;
    let mut writers = JoinSet::new();
    for writer in 0..2 * writers_each {
        let table = tables[writer % 2].clone();
        writers.spawn(async move {
            let mut wins = Vec::new();
            for _ in 0..3 {
                let before = table.get("n").unwrap();
                let base = before.revision;
                let n: u32 = std::str::from_utf8(&before.value).unwrap().parse().unwrap();
                let decide = move |view: &kafka::View| match view.get("n") {
                    Some(entry) if entry.revision == base => Ok((vec![put("n", (n + 1).to_string())], n + 1)),
                    _ => Err("stale"),
                };
                match table.mutate(decide).await {
                    Ok((n, _)) => wins.push((base, n)),
                    Err(MutateError::Decided("stale") | MutateError::Aborted) => {}
                    Err(error) => panic!("{error:?}"),
                }
            }
            wins
        });
    }
    let wins: Vec<(u64, u32)> = writers.join_all().await.into_iter().flatten().collect();
    assert!(!wins.is_empty());
    let by_base: BTreeMap<u64, u32> = wins.iter().copied().collect();
    assert_eq!(by_base.len(), wins.len(), "two winners of one revision: {wins:?}");
    // In the order of their bases the winners counted 1, 2, 3…: none was lost, none was written on top of another.
    assert_eq!(
        by_base.into_values().collect::<Vec<_>>(),
        (1..).take(wins.len()).collect::<Vec<u32>>()
    );
    for table in tables {
        wait_until("both see the last", || {
            value(table, "n").unwrap() == wins.len().to_string()
        })
        .await;
    }
}

/// A commit whose answer is lost: the mutation finds its own id in the table and counts as done, once.
#[tokio::test]
async fn a_commit_that_succeeded_without_our_hearing_of_it_is_found_by_its_mutation_id() {
    let broker = Arc::new(InProcessBroker::start(1, &[]).unwrap());
    let table = open(&broker.config()).await;
    let decided = Arc::new(AtomicU32::new(0));
    let (broker, count) = (broker.clone(), decided.clone());
    let mutation = table.mutate(move |view| {
        if count.fetch_add(1, Ordering::Relaxed) == 0 {
            broker.fail_next_commit().unwrap();
        }
        let seen = view.get("a").is_some();
        Ok::<_, ()>((vec![put("a", "one"), put("b", "two")], seen))
    });
    let (seen, revisions) = mutation.await.unwrap();
    assert!(!seen);
    assert_eq!(revisions, ["a", "b"].map(|key| table.get(key).unwrap().revision));
    assert_eq!(
        decided.load(Ordering::Relaxed),
        1,
        "decided again though the first commit had succeeded"
    );
}

#[tokio::test]
async fn a_writer_that_is_fenced_between_deciding_and_committing_tries_again_on_the_new_state() {
    let name = "table::a_writer_that_is_fenced_between_deciding_and_committing_tries_again_on_the_new_state";
    let Some(config) = testing::real_only(name) else { return };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let table = open(&config).await;
    let topic = Topics::new(&config).control();
    let other = config.clone();
    let decide = move |view: &kafka::View| {
        if view.get("a").is_none() {
            // Somebody else takes over while we decide.
            let mut writer = TransactionalWriter::init(&other, ID, Duration::from_secs(10)).unwrap();
            writer
                .commit(vec![RecordOut::new(&topic).partition(0).key("a").payload("theirs")])
                .unwrap();
        }
        let before = view.get("a").map(|entry| entry.value);
        Ok::<_, ()>((vec![put("a", "ours")], before))
    };
    let (before, _) = table.mutate(decide).await.unwrap();
    assert_eq!(before.as_deref(), Some(&b"theirs"[..]));
    assert_eq!(value(&table, "a").as_deref(), Some("ours"));
}

#[tokio::test]
async fn a_table_is_stale_once_kafka_has_been_gone_for_thirty_seconds() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let table = open(&broker.config()).await;
    set(&table, "a", "one").await;
    drop(broker);
    let gone = tokio::time::Instant::now();
    // Nothing heard after it was gone can make the table fresh at a time 30 s later.
    assert!(table.is_fresh(gone));
    assert!(!table.is_fresh(gone + Duration::from_secs(31)));
    assert_eq!(value(&table, "a").as_deref(), Some("one"));
}

#[tokio::test]
async fn an_idle_table_stays_fresh_and_one_whose_broker_comes_back_becomes_fresh_again() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let table = open(&broker.config()).await;
    let ahead = |seconds| tokio::time::Instant::now() + Duration::from_secs(seconds);
    // Known to be complete less than 5 s ago, again and again, without a record being written.
    let opened = tokio::time::Instant::now();
    wait_until("a check after opening", || {
        table.is_fresh(opened + Duration::from_secs(31))
    })
    .await;
    broker.down().unwrap();
    wait_until("staleness", || !table.is_fresh(ahead(24))).await;
    broker.up().unwrap();
    wait_until("freshness", || table.is_fresh(ahead(28))).await;
}

/// To every question for more Kafka has an answer then, so that it never says that there is nothing.
#[tokio::test]
async fn a_table_that_is_written_to_all_the_time_stays_fresh() {
    let name = "table::a_table_that_is_written_to_all_the_time_stays_fresh";
    let Some(config) = testing::real_only(name) else { return };
    kafka::topics::ensure(&config, &[]).await.unwrap();
    let table = open(&config).await;
    let topic = Topics::new(&config).control();
    let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();
    let mut writing = JoinSet::new();
    writing.spawn(async move {
        loop {
            let record = RecordOut::new(&*topic).partition(0).key("busy").payload("yes");
            publisher.publish(record).await.unwrap();
        }
    });
    let mut applied = table.changed();
    tokio::time::timeout(Duration::from_secs(30), applied.wait_for(|applied| *applied > 0))
        .await
        .unwrap()
        .unwrap();
    let busy = tokio::time::Instant::now();
    wait_until("a check while it is written to", || {
        table.is_fresh(busy + Duration::from_secs(30))
    })
    .await;
}

#[tokio::test]
async fn a_table_that_cannot_be_opened_says_what_to_check() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    broker.create_topic("two", 2).unwrap();
    let config = Config {
        open_timeout: Duration::from_secs(2),
        ..broker.config()
    };
    let error = Table::open(&config, "two", ID, TYPE).await.err().unwrap();
    assert!(
        matches!(&error, Error::Topic { problem, .. } if problem.contains("2 partitions")),
        "{error}"
    );
    drop(broker);
    let error = Table::open(&config, "lytics.control", ID, TYPE).await.err().unwrap();
    assert!(
        matches!(&error, Error::Unavailable { doing, .. } if doing.contains(&config.brokers)),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_broker_a_mutation_is_unavailable() {
    let broker = InProcessBroker::start(1, &[]).unwrap();
    let table = open(&broker.config()).await;
    drop(broker);
    let result = table.mutate(|_| Ok::<_, ()>((vec![put("a", "one")], ()))).await;
    assert!(matches!(result, Err(MutateError::Unavailable(_))), "{result:?}");
}

/// The table passes it over, so that nobody may wait to see it there.
#[tokio::test]
async fn a_record_without_a_readable_key_keeps_no_mutation_waiting() {
    let (_brokers, config) = broker().await;
    let table = open(&config).await;
    let publisher = Publisher::new(&config, PublisherOptions::default()).unwrap();
    let record = RecordOut::new(Topics::new(&config).control()).partition(0);
    publisher
        .publish(record.key(vec![0xff]).payload("theirs"))
        .await
        .unwrap();
    set(&table, "a", "one").await;
    assert_eq!(value(&table, "a").as_deref(), Some("one"));
}

#[tokio::test]
async fn a_record_of_the_table_says_what_it_is_and_a_tombstone_is_nothing() {
    let (_brokers, config) = broker().await;
    let table = open(&config).await;
    set(&table, "kept", "value").await;
    let delete = |_: &_| {
        let key = "kept".to_owned();
        Ok::<_, ()>((vec![Change::Delete { key }], ()))
    };
    table.mutate(delete).await.unwrap();

    let mut reader = Reader::open(&config, ReaderOptions::default()).unwrap();
    reader
        .assign(&Topics::new(&config).control(), &[(0, Position::Beginning)])
        .unwrap();
    let mut read = Vec::new();
    wait_until("both records are read", || {
        if let Some(Ok(Polled::Record(record))) = reader.poll(Duration::from_millis(100)) {
            let header = |name| {
                record
                    .header(name)
                    .map(|value| String::from_utf8_lossy(value).into_owned())
            };
            assert!(header(headers::MUTATION_ID).is_some());
            read.push((header(headers::CONTENT_TYPE), header(headers::MESSAGE_TYPE)));
        }
        read.len() == 2
    })
    .await;
    let control = (
        "application/protobuf".to_owned(),
        "lytics.control.v1.ControlRecord".to_owned(),
    );
    assert_eq!(read, [(Some(control.0), Some(control.1)), (None, None)]);
}
