//! The worker: compares what waits, and rests.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Offer;
use crate::metrics;
use crate::normalize::RawRecord;

/// How many times as long as it works the worker rests.
const REST: u32 = 19;
/// A rest that is shorter is put off: no timer is that fine.
const REST_MIN: Duration = Duration::from_millis(2);

/// Compares records for all candidates of this process.
pub(crate) struct Worker {
    inbox: Receiver<Offer>,
    /// The rest that it still owes.
    owed: Duration,
}

impl Worker {
    pub(super) fn new(inbox: Receiver<Offer>) -> Self {
        Self {
            inbox,
            owed: Duration::ZERO,
        }
    }

    /// Works until the drain; what waits then is forgotten.
    pub(crate) async fn run(mut self, drain: CancellationToken) -> anyhow::Result<()> {
        // The last queue goes with the process.
        drain.run_until_cancelled(self.work()).await;
        Ok(())
    }

    async fn work(&mut self) {
        let waiting = ::metrics::gauge!(metrics::SHADOW_WAITING);
        while let Some(offer) = self.inbox.recv().await {
            #[expect(clippy::cast_precision_loss, reason = "at most a few dozen")]
            waiting.set(self.inbox.len() as f64);
            for record in &offer.records {
                let raw = RawRecord {
                    account: offer.account,
                    stream: &offer.stream,
                    json: record,
                    timestamp_field: offer.timestamp_field.as_deref(),
                };
                let begun = Instant::now();
                offer.shadow.compare(&raw, offer.received);
                if let Some(rest) = self.rest(begun.elapsed()) {
                    tokio::time::sleep(rest).await;
                }
            }
        }
    }

    /// How long to rest now, after having worked for so long.
    fn rest(&mut self, worked: Duration) -> Option<Duration> {
        self.owed += worked * REST;
        (self.owed >= REST_MIN).then(|| std::mem::take(&mut self.owed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_twentieth_of_the_time_is_work_and_short_rests_are_put_off_until_they_are_worth_it() {
        let (_queue, mut worker) = super::super::queue();
        let micros = Duration::from_micros;
        assert_eq!(worker.rest(micros(50)), None);
        assert_eq!(worker.rest(micros(50)), None);
        assert_eq!(worker.rest(micros(10)), Some(micros(110 * 19)));
        assert_eq!(worker.rest(micros(10)), None, "nothing is owed twice");
        assert_eq!(
            worker.rest(Duration::from_secs(1)),
            Some(Duration::from_secs(19) + micros(190))
        );
    }
}
