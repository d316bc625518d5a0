//! Proves, on a real Kafka: while the topic is compacted and its records are written in transactions, so that holes and markers
//! are everywhere and at the ends too, each feed is handed every record of its audience that is left, once and in order, and
//! catch-up joins live.
//!
//! How: two real readers drive the feeds as the pipeline does; what was handed is compared with what another reader finds.

use std::time::{Duration, Instant};

use kafka::{Config, Polled, Position, Reader, ReaderOptions, RecordOut, Topics, TransactionalWriter};
use model::{membership_key, parse_membership_key};

use super::*;

const PARTITIONS: usize = 4;
/// Key of records that no feed wants.
const NOBODY: &str = "nobody/0";
const PATIENCE: Duration = Duration::from_secs(120);

/// A place in the topic.
type At = (i32, i64);

struct Real {
    config: Config,
    topic: String,
    upstream: TransactionalWriter,
    feeds: Feeds,
    readers: [(Reader, bool); 2],
    /// What each audience's feed was handed, in order.
    handed: BTreeMap<String, Vec<At>>,
}

fn open(config: &Config) -> Reader {
    Reader::open(config, ReaderOptions::default()).unwrap()
}

impl Real {
    fn new(config: Config) -> Self {
        Self {
            topic: Topics::new(&config).audience_membership(1234),
            upstream: TransactionalWriter::init(&config, "upstream", Duration::from_secs(10)).unwrap(),
            feeds: Feeds::new(PARTITIONS, HashMap::new()),
            readers: [(open(&config), false), (open(&config), false)],
            handed: BTreeMap::new(),
            config,
        }
    }

    /// Transactions of a record of both audiences each, of profiles that come again and again.
    fn publish(&mut self, transactions: std::ops::Range<usize>) {
        for number in transactions {
            let profile = (number % 20).to_string();
            let record = |slug: &str| {
                let record = RecordOut::new(&self.topic).key(membership_key(slug, &profile));
                record.payload(number.to_string())
            };
            self.upstream.commit(vec![record(SLUGS[0]), record(SLUGS[2])]).unwrap();
        }
    }

    /// All records of audiences that there are: audience and place.
    fn found(&self) -> Vec<(String, At)> {
        let mut reader = open(&self.config);
        let from = (0..4).map(|partition| (partition, Position::Beginning));
        reader.assign(&self.topic, &from.collect::<Vec<_>>()).unwrap();
        let (mut found, mut ended) = (Vec::new(), 0);
        while ended < PARTITIONS {
            match reader
                .poll(Duration::from_secs(10))
                .expect("the topic can be read")
                .unwrap()
            {
                Polled::Eof { .. } => ended += 1,
                Polled::Record(record) if record.key() == Some(NOBODY.as_bytes()) => {}
                Polled::Record(record) => {
                    let (slug, _) = record.key().and_then(parse_membership_key).unwrap();
                    found.push((
                        String::from_utf8(slug.to_owned()).unwrap(),
                        (record.partition(), record.offset()),
                    ));
                }
            }
        }
        found
    }

    fn ends(&self) -> Vec<(i32, i64)> {
        let reader = open(&self.config);
        let end = |partition| (partition, reader.watermarks(&self.topic, partition).unwrap().1);
        (0..4).map(end).collect()
    }

    /// Waits until some records have been compacted away, so that no more than `left` are there.
    async fn compact(&mut self, left: usize) {
        kafka::testing::compact_soon(&self.config, &self.topic).await.unwrap();
        let deadline = Instant::now() + PATIENCE;
        while self.found().len() > left {
            assert!(Instant::now() < deadline, "the topic is not compacted");
            // A record more, once the broker has heard of the settings, and what was written before can be compacted.
            let tombstone = |partition| RecordOut::new(&self.topic).partition(partition).key(NOBODY);
            let tombstones: Vec<_> = (0..4).map(tombstone).collect();
            self.upstream.commit(tombstones).unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// One poll, as the pipeline does it. `false` if nothing came.
    fn poll(&mut self, which: Which) -> bool {
        if !self.feeds.readable(which) {
            return false;
        }
        let (reader, assigned) = &mut self.readers[which as usize];
        let seeks = self.feeds.take_seeks(which).into_iter();
        let seeks: Vec<_> = seeks
            .map(|(partition, offset)| (partition, Position::At(offset)))
            .collect();
        if !std::mem::replace(assigned, true) {
            reader.assign(&self.topic, &seeks).unwrap();
        } else if !seeks.is_empty() {
            reader.seek_all(&seeks).unwrap();
        }
        let Some(polled) = reader.poll(Duration::from_millis(200)) else {
            return false;
        };
        match polled.unwrap() {
            Polled::Eof { partition } => {
                if let Some(Position::At(position)) = reader.position(partition) {
                    self.feeds.passed(which, partition, position);
                }
                self.feeds.ended(which, partition);
            }
            Polled::Record(record) => {
                let (partition, offset) = (record.partition(), record.offset());
                self.feeds.passed(which, partition, offset);
                let (slug, _) = record.key().and_then(parse_membership_key).unwrap();
                let mut wanting = Vec::new();
                self.feeds.wanting(which, Some(slug), partition, offset, &mut wanting);
                for id in wanting {
                    self.feeds.get_mut(id).unwrap().positions.hand(partition, offset);
                    self.handed
                        .entry(String::from_utf8(slug.to_owned()).unwrap())
                        .or_default()
                        .push((partition, offset));
                }
                self.feeds.passed(which, partition, offset + 1);
            }
        }
        self.feeds.join();
        true
    }

    fn create(&mut self, jobs: &[(usize, bool)]) {
        let start = self.ends();
        let job = |(slug, existing): &(usize, bool)| {
            Arc::new(ExportJob {
                start: start.clone(),
                ..(*job(*slug, *existing, [0, 0])).clone()
            })
        };
        let wanted = JobSet {
            jobs: jobs.iter().map(job).collect(),
            authorizations: (0..2).map(|number| (format!("auth-{number}"), grant())).collect(),
            budget: control::Budget::default(),
            unreadable: Arc::default(),
        };
        self.feeds.apply(WORKSPACE, &wanted);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_compacted_topic_each_feed_is_handed_what_is_left_once_and_in_order_and_joins() {
    let name = "feed::in_a_compacted_topic_each_feed_is_handed_what_is_left_once_and_in_order_and_joins";
    let Some(config) = kafka::testing::real_only(name) else {
        return;
    };
    kafka::topics::ensure(&config, &[1234]).await.unwrap();
    let mut real = Real::new(config);
    real.publish(0..100);
    real.compact(60).await;
    let start: BTreeMap<_, _> = real.ends().into_iter().collect();
    real.create(&[(0, false)]);
    real.create(&[(0, false), (2, true)]);
    for _ in 0..15 {
        real.poll(Which::CatchUp);
    }
    assert!(real.feeds.serves(Which::CatchUp), "it is in mid-pass");
    real.publish(100..200);
    real.compact(60).await;
    let deadline = Instant::now() + PATIENCE;
    while Which::BOTH.map(|which| real.poll(which)).contains(&true) || real.feeds.serves(Which::CatchUp) {
        assert!(Instant::now() < deadline, "they never join");
    }
    // Beyond the point where they joined they go on together.
    real.publish(200..220);
    let last = real.found().len();
    while Which::BOTH.map(|which| real.poll(which)).contains(&true) {}
    assert!(last < 300, "there are holes: {last} records of 440");
    for (slug, begins) in [(SLUGS[0], true), (SLUGS[2], false)] {
        let handed = &real.handed[slug];
        for partition in 0..4 {
            let offsets = handed
                .iter()
                .filter(|(of, _)| *of == partition)
                .map(|(_, offset)| *offset);
            assert!(offsets.is_sorted_by(|one, other| one < other), "{slug}: {handed:?}");
        }
        let due = |at: &At| !begins || at.1 >= start[&at.0];
        let left = real.found().into_iter().filter(|(of, at)| of == slug && due(at));
        let missing: Vec<_> = left.filter(|(_, at)| !handed.contains(at)).collect();
        assert!(missing.is_empty(), "{slug} was not handed {missing:?}");
        assert!(
            handed.iter().all(due),
            "{slug} was handed something from before its start"
        );
    }
}
