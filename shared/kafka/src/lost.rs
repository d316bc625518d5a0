//! A client that has lost Kafka for good while others reach it.
//!
//! librdkafka forgets each broker that an answer about metadata leaves out. A cluster's last broker may name none while it shuts
//! down; the client has nobody to ask then, and never asks anybody again (librdkafka's issue 5301). Only a new client helps.

use std::time::Duration;

use rdkafka::ClientContext;
use rdkafka::client::Client;
use rdkafka::config::FromClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::{Config, client};

/// How often somebody looks, while nothing is heard of Kafka.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(5);
/// So many looks in a row must find the client cut off: it may just be on its way back.
const LOOKS: u32 = 3;

/// Counts looks.
#[derive(Default)]
pub(crate) struct Looks {
    cut_off: u32,
}

impl Looks {
    /// Whether the client is lost, now that it has been looked at again.
    pub(crate) fn see(&mut self, cut_off: bool) -> bool {
        self.cut_off = if cut_off { self.cut_off + 1 } else { 0 };
        self.cut_off >= LOOKS
    }
}

/// Whether this client learns nothing about a topic within `timeout`, and a new one does. Blocks for twice as long at most.
pub(crate) fn is_cut_off<C: ClientContext>(
    client: &Client<C>,
    config: &Config,
    topic: &str,
    timeout: Duration,
) -> bool {
    client.fetch_metadata(Some(topic), timeout).is_err() && reaches(config, topic, timeout)
}

/// Whether a new client learns something about a topic within `timeout`. Blocks.
fn reaches(config: &Config, topic: &str, timeout: Duration) -> bool {
    let fresh = BaseConsumer::from_config(&client::settings(config));
    fresh.is_ok_and(|fresh| fresh.fetch_metadata(Some(topic), timeout).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::InProcessBroker;

    #[test]
    fn a_client_is_lost_when_it_is_found_cut_off_three_times_in_a_row() {
        let mut looks = Looks::default();
        let seen = [true, true, false, true, true, true].map(|cut_off| looks.see(cut_off));
        assert_eq!(seen, [false, false, false, false, false, true]);
    }

    #[test]
    fn a_client_is_cut_off_when_another_reaches_what_it_does_not() {
        let (here, there) = (
            InProcessBroker::start(1, &[]).unwrap(),
            InProcessBroker::start(1, &[]).unwrap(),
        );
        for broker in [&here, &there] {
            broker.create_topic("t", 1).unwrap();
        }
        let own = BaseConsumer::from_config(&client::settings(&here.config())).unwrap();
        let cut_off = |config: &Config, timeout| is_cut_off(own.client(), config, "t", timeout);
        let (soon, patient) = (Duration::from_millis(300), Duration::from_secs(10));
        assert!(!cut_off(&there.config(), patient), "it reaches its own");
        here.down().unwrap();
        assert!(!cut_off(&here.config(), soon), "nobody reaches it");
        let deadline = std::time::Instant::now() + patient;
        while !cut_off(&there.config(), soon) {
            assert!(std::time::Instant::now() < deadline, "another reaches what it does not");
        }
    }
}
