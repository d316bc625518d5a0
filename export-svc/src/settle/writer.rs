//! The thread that writes progress: a commit waits for Kafka, and the workspace's thread must not.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use kafka::{RecordOut, TransactionalWriter};
use tokio::sync::mpsc;

use crate::clock::Clock;
use crate::pipeline::Event;

/// Hands work to the thread, one piece at a time: the next one when the event of the last one has come. The thread ends when
/// this is dropped.
pub(crate) struct ProgressWriter {
    orders: SyncSender<Order>,
}

enum Order {
    Commit(Vec<RecordOut>),
    Measure { topic: String, partitions: i32 },
}

impl ProgressWriter {
    pub(crate) fn start(
        writer: TransactionalWriter,
        clock: Clock,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, std::io::Error> {
        let (orders, received) = sync_channel(1);
        let run = move || run(writer, clock, &received, &events);
        thread::Builder::new().name("export-progress".into()).spawn(run)?;
        Ok(Self { orders })
    }

    /// Writes a transaction; [`Event::Progress`] tells how it went.
    pub(crate) fn commit(&self, records: Vec<RecordOut>) -> Result<(), kafka::Error> {
        self.order(Order::Commit(records))
    }

    /// Asks for the ends of a topic's partitions; [`Event::Ends`] tells them.
    pub(crate) fn measure(&self, topic: &str, partitions: usize) -> Result<(), kafka::Error> {
        let partitions = i32::try_from(partitions).unwrap_or(i32::MAX);
        self.order(Order::Measure {
            topic: topic.to_owned(),
            partitions,
        })
    }

    fn order(&self, order: Order) -> Result<(), kafka::Error> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => kafka::Error::Closed,
        })
    }
}

fn run(mut writer: TransactionalWriter, clock: Clock, orders: &Receiver<Order>, events: &mpsc::Sender<Event>) {
    while let Ok(order) = orders.recv() {
        let event = match order {
            Order::Commit(records) => {
                let begun = clock.now();
                Event::Progress {
                    begun,
                    result: writer.commit(records).map(|_| ()),
                }
            }
            Order::Measure { topic, partitions } => Event::Ends {
                asked: clock.now(),
                ends: (0..partitions)
                    .map(|partition| writer.end_offset(&topic, partition))
                    .collect(),
            },
        };
        if events.blocking_send(event).is_err() {
            return;
        }
    }
}
