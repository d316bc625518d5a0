//! Membership of a consumer group whose topic holds nothing: its partitions are *slots*, and all that counts is who owns which.
//!
//! Rebalancing is cooperative: when somebody joins or leaves, members keep what stays theirs and go on. A slot that is to move
//! stays with its owner until the owner has given it back; then its next owner gets it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Offset, TopicPartitionList};
use tokio::sync::{oneshot, watch};

use crate::client::{self, Told};
use crate::{Config, Error};

/// A member that has not been heard from for this long has lost its slots.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const HEARTBEAT: Duration = Duration::from_secs(1);
/// Longest time that a slot may take to be given back; whoever takes longer is put out of the group.
const RELEASE_MAX: Duration = Duration::from_secs(30);
/// How long the thread rests unless it is woken, which must be far below [`RELEASE_MAX`]; and while slots are leaving: nobody
/// wakes it if they are lost meanwhile.
const REST: Duration = Duration::from_secs(1);
const REST_LEAVING: Duration = Duration::from_millis(100);

/// What a member holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Ours.
    pub owned: BTreeSet<i32>,
    /// Ours until [`Member::release`]: another member is to have them. All of them go at once, when the last is released.
    pub leaving: BTreeSet<i32>,
}

/// A member of a group. Leaves it when dropped; costs one librdkafka client and a thread.
pub struct Member {
    held: watch::Receiver<Held>,
    shared: Arc<Shared>,
    kind: Kind,
}

enum Kind {
    /// Closed when the thread has ended.
    OfGroup(oneshot::Receiver<()>),
    /// Keeps what it holds from being taken for lost.
    Alone(watch::Sender<Held>),
}

/// What the member's thread and its handle share.
#[derive(Default)]
struct Shared {
    released: Mutex<BTreeSet<i32>>,
    closing: AtomicBool,
    /// Polls; there once it has begun.
    thread: OnceLock<Thread>,
}

impl Shared {
    fn released(&self) -> MutexGuard<'_, BTreeSet<i32>> {
        // Every write is one call on the set.
        self.released.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Member {
    /// Joins `group` (the topic prefix is put before it), whose slots are the partitions of `topic`, in the background. The
    /// in-process broker has one process only, and its groups are slow: there every one of `slots` is ours at once.
    ///
    /// # Errors
    /// [`Error::Config`] if librdkafka does not take the configuration; [`Error::Closed`] if the system gives no thread.
    pub fn join(config: &Config, group: &str, topic: &str, slots: i32) -> Result<Self, Error> {
        Self::join_with(config, group, topic, slots, thread::park_timeout)
    }

    fn join_with(
        config: &Config,
        group: &str,
        topic: &str,
        slots: i32,
        rest: impl Fn(Duration) + Send + 'static,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared::default());
        if config.in_process {
            let owned = (0..slots).collect();
            let held = watch::Sender::new(Held {
                owned,
                ..Held::default()
            });
            return Ok(Self {
                held: held.subscribe(),
                shared,
                kind: Kind::Alone(held),
            });
        }
        let mut settings = client::settings(config);
        settings
            .set("group.id", format!("{}{group}", config.topic_prefix))
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", SESSION_TIMEOUT.as_millis().to_string())
            .set("heartbeat.interval.ms", HEARTBEAT.as_millis().to_string())
            .set("max.poll.interval.ms", RELEASE_MAX.as_millis().to_string())
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false");
        let (sender, held) = watch::channel(Held::default());
        let context = Membership {
            topic: topic.to_owned(),
            held: sender,
            shared: Arc::clone(&shared),
            told: Told::default(),
        };
        let mut consumer = BaseConsumer::from_config_and_context(&settings, context).map_err(Error::Config)?;
        let ready = Arc::clone(&shared);
        consumer.set_nonempty_callback(move || ready.wake());
        consumer
            .subscribe(&[topic])
            .map_err(|error| Error::of(error, topic, "joining the group of"))?;
        let (end, ended) = oneshot::channel();
        let run = move || {
            run(&consumer, rest);
            // Leaves the group, which takes a few round trips.
            drop(consumer);
            drop(end);
        };
        let thread = thread::Builder::new().name("kafka-group".to_owned());
        thread.spawn(run).map_err(|_| Error::Closed)?;
        Ok(Self {
            held,
            shared,
            kind: Kind::OfGroup(ended),
        })
    }

    /// What the member holds now, and from now on. A slot that was lost (the group has not heard from us for too long) is
    /// in neither set at once; it may be somebody else's already.
    pub fn held(&self) -> watch::Receiver<Held> {
        self.held.clone()
    }

    /// Nothing is done for this leaving slot any more.
    pub fn release(&self, slot: i32) {
        self.shared.released().insert(slot);
        self.shared.wake();
    }

    /// Gives every slot back and leaves the group.
    pub async fn leave(mut self) {
        self.shared.close();
        match &mut self.kind {
            // Nothing is ever sent.
            Kind::OfGroup(ended) => ended.await.unwrap_or_default(),
            Kind::Alone(held) => drop(held.send_replace(Held::default())),
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Polls whenever there is something to poll, and now and then: that is what keeps the member in the group, whatever its slots
/// are busy with. `rest` parks the thread for so long: it is woken by what can be polled, by a release, and by the end.
fn run(consumer: &BaseConsumer<Membership>, rest: impl Fn(Duration)) {
    let context = consumer.context();
    context.shared.thread.get_or_init(thread::current);
    let mut said = None;
    while !context.shared.is_closing() {
        let told = context.told.so_far();
        let polled = consumer.poll(Duration::ZERO);
        let nothing = polled.is_none() && context.told.so_far() == told;
        if let Some(Err(error)) = polled
            && said.as_ref() != Some(&error)
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the group of topic {}",
                context.topic
            );
            said = Some(error);
        }
        context.give_back(consumer);
        if nothing {
            let leaving = !context.held.borrow().leaving.is_empty();
            rest(if leaving { REST_LEAVING } else { REST });
        }
    }
    // What is still to be given back would keep the close waiting.
    let leaving = context.held.borrow().leaving.clone();
    if !leaving.is_empty() {
        context.unassign(consumer, &leaving);
    }
}

/// Hears of rebalances.
struct Membership {
    topic: String,
    held: watch::Sender<Held>,
    shared: Arc<Shared>,
    told: Told,
}

impl Membership {
    /// Gives the leaving slots back once all are released, or at once if the group has put us out meanwhile.
    fn give_back(&self, consumer: &BaseConsumer<Self>) {
        let leaving = self.held.borrow().leaving.clone();
        if leaving.is_empty() {
            self.shared.released().clear();
        } else if leaving.is_subset(&self.shared.released()) || consumer.assignment_lost() {
            self.unassign(consumer, &leaving);
        }
    }

    fn unassign(&self, consumer: &BaseConsumer<Self>, slots: &BTreeSet<i32>) {
        self.held.send_modify(|held| {
            held.owned.retain(|slot| !slots.contains(slot));
            held.leaving.retain(|slot| !slots.contains(slot));
        });
        self.shared.released().retain(|slot| !slots.contains(slot));
        self.say("gives back", slots);
        self.check(consumer.incremental_unassign(&self.list(slots)));
    }

    fn list(&self, slots: &BTreeSet<i32>) -> TopicPartitionList {
        let mut list = TopicPartitionList::with_capacity(slots.len());
        for slot in slots {
            list.add_partition(&self.topic, *slot);
        }
        list
    }

    fn say(&self, what: &str, slots: &BTreeSet<i32>) {
        tracing::info!(kafka.topic = self.topic, ?slots, "{what} {} slots", slots.len());
    }

    fn check(&self, result: KafkaResult<()>) {
        if let Err(error) = result {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the group of topic {}",
                self.topic
            );
        }
    }
}

impl ClientContext for Membership {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.told.count();
        client::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::log_error(&error, reason);
    }
}

impl ConsumerContext for Membership {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, err: RDKafkaRespErr, list: &mut TopicPartitionList) {
        self.told.count();
        let slots: BTreeSet<i32> = list.elements().iter().map(|slot| slot.partition()).collect();
        if err == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            // Nothing is ever read: no offset needs to be asked for, and nothing fetched.
            self.check(list.set_all_offsets(Offset::Offset(0)));
            self.check(consumer.incremental_assign(list));
            self.check(consumer.pause(list));
            self.say("gets", &slots);
            self.held.send_modify(|held| held.owned.extend(&slots));
        } else if slots.is_empty() || self.shared.is_closing() || consumer.assignment_lost() {
            // A close waits for this call, and what was lost must not be waited for.
            self.unassign(consumer, &slots);
        } else {
            self.say("is to give back", &slots);
            self.held.send_modify(|held| {
                held.owned.retain(|slot| !slots.contains(slot));
                held.leaving.extend(&slots);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Topics, testing};

    const PATIENCE: Duration = Duration::from_secs(30);

    async fn until(held: &mut watch::Receiver<Held>, what: &str, wanted: impl Fn(&Held) -> bool) {
        let waited = tokio::time::timeout(PATIENCE, held.wait_for(|held| wanted(held))).await;
        let reached = waited.map(drop).is_ok();
        assert!(reached, "{what}: it holds {:?}", held.borrow());
    }

    /// Without that it would rest for ever.
    #[tokio::test]
    async fn a_thread_at_rest_is_woken_by_the_group_by_a_release_and_by_the_end() {
        let name = "group::tests::a_thread_at_rest_is_woken_by_the_group_by_a_release_and_by_the_end";
        let Some(config) = testing::real_only(name) else { return };
        crate::topics::ensure(&config, &[]).await.unwrap();
        let (topic, slots) = (Topics::new(&config).export_placement(), 4);
        let (rests, mut resting) = watch::channel(Duration::ZERO);
        let rest = move |longest| {
            rests.send_replace(longest);
            thread::park();
        };
        let first = Member::join_with(&config, "placement", &topic, slots, rest).unwrap();
        let mut of_first = first.held();
        until(&mut of_first, "it gets all", |held| held.owned.len() == 4).await;
        let second = Member::join(&config, "placement", &topic, slots).unwrap();
        until(&mut of_first, "half of them are to leave", |held| {
            held.leaving.len() == 2
        })
        .await;
        let rests = resting.wait_for(|longest| *longest == REST_LEAVING);
        tokio::time::timeout(PATIENCE, rests).await.unwrap().unwrap();
        let leaving = of_first.borrow().leaving.clone();
        leaving.iter().for_each(|slot| first.release(*slot));
        until(&mut of_first, "they are given back", |held| held.leaving.is_empty()).await;
        until(&mut second.held(), "they are somebody else's", |held| {
            held.owned == leaving
        })
        .await;
        let left = tokio::time::timeout(PATIENCE, first.leave()).await;
        assert!(left.is_ok(), "it does not hear that it is to end");
    }
}
