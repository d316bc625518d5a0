//! The thread that writes progress: a commit waits for Kafka, and the workspace's thread must not.

use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread;

use kafka::{RecordOut, TransactionalWriter};
use tokio::sync::mpsc;

use crate::clock::{Clock, Time};
use crate::pipeline::Event;

/// Hands work to the thread, one piece at a time: the next one when the event of the last one has come. The thread ends when
/// this is dropped.
pub(crate) struct ProgressWriter {
    orders: SyncSender<Order>,
}

enum Order {
    Commit(Vec<RecordOut>),
    Measure { topic: String },
}

impl ProgressWriter {
    pub(crate) fn start(
        mut writer: TransactionalWriter,
        clock: Clock,
        events: mpsc::Sender<Event>,
    ) -> Result<Self, std::io::Error> {
        let (orders, received) = sync_channel(1);
        let run = move || serve(&received, &events, |order| perform(&mut writer, clock, order));
        thread::Builder::new().name("export-progress".into()).spawn(run)?;
        Ok(Self { orders })
    }

    /// Writes a transaction; [`Event::Progress`] tells how it went.
    pub(crate) fn commit(&self, records: Vec<RecordOut>) -> Result<(), kafka::Error> {
        self.order(Order::Commit(records))
    }

    /// Asks for the ends of a topic's partitions; [`Event::Ends`] tells them.
    pub(crate) fn measure(&self, topic: &str) -> Result<(), kafka::Error> {
        self.order(Order::Measure {
            topic: topic.to_owned(),
        })
    }

    fn order(&self, order: Order) -> Result<(), kafka::Error> {
        self.orders.try_send(order).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => kafka::Error::Closed,
        })
    }
}

fn serve(orders: &Receiver<Order>, events: &mpsc::Sender<Event>, mut perform: impl FnMut(Order) -> Event) {
    let _last_word = LastWord(events);
    while let Ok(order) = orders.recv() {
        if events.blocking_send(perform(order)).is_err() {
            return;
        }
    }
}

/// The workspace waits for the event of the order that a panic broke off: without one it would hang.
struct LastWord<'a>(&'a mpsc::Sender<Event>);

impl Drop for LastWord<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let ended = Event::Progress {
                begun: Time::MIN,
                result: Err(kafka::Error::Closed),
            };
            // A workspace that has ended needs no word.
            drop(self.0.blocking_send(ended));
        }
    }
}

fn perform(writer: &mut TransactionalWriter, clock: Clock, order: Order) -> Event {
    match order {
        Order::Commit(records) => {
            let begun = clock.now();
            Event::Progress {
                begun,
                result: writer.commit(records).map(|_| ()),
            }
        }
        Order::Measure { topic } => Event::Ends {
            asked: clock.now(),
            ends: writer.partitions(&topic).and_then(|partitions| {
                let partitions = partitions.into_iter();
                partitions
                    .map(|partition| writer.end_offset(&topic, partition))
                    .collect()
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_to_the_workspace_that_waits() {
        let (orders, received) = sync_channel(1);
        let (sender, mut events) = mpsc::channel(1);
        orders.try_send(Order::Commit(Vec::new())).unwrap();
        let thread = thread::spawn(move || serve(&received, &sender, |_| panic!("by the test")));
        assert!(thread.join().is_err());
        let told = events.blocking_recv();
        assert!(
            matches!(
                told,
                Some(Event::Progress {
                    result: Err(kafka::Error::Closed),
                    ..
                })
            ),
            "{told:?}"
        );
    }
}
