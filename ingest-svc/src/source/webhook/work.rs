//! From a body that was read to its outcomes.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use runtime::window::Window;
use tokio::time::Instant;

use super::refused::Refused;
use crate::metrics;
use crate::publish::{self, Outcome, Publish, Refusal};
use crate::source::{Origin, Raw, body};

/// Records published before the next of the same body are looked at.
const WINDOW_RECORDS: usize = 1_000;

/// One body on its way to Kafka.
pub(super) struct Work<'a> {
    pub(super) publish: &'a Publish,
    pub(super) origin: &'a Origin,
    pub(super) received: Timestamp,
    /// When the sender is answered, whatever Kafka does.
    pub(super) deadline: Instant,
    pub(super) dryrun: bool,
}

impl Work<'_> {
    /// How many events were published, and which records were refused, by position.
    pub(super) async fn body(
        &self,
        body: &Bytes,
        records_max: usize,
    ) -> Result<(usize, Vec<(usize, Refusal)>), Refused> {
        let records = match body::records(body, records_max) {
            Ok(records) => records,
            Err(error @ body::BodyError::TooMany { .. }) => {
                ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "records").increment(1);
                return Err(Refused {
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    reason: "records",
                    message: error.to_string(),
                });
            }
            Err(error) => {
                let refusal = Refusal::Body(error.to_string());
                if !self.dryrun {
                    let keep = self.publish.refused_body(
                        self.origin,
                        body.clone(),
                        refusal,
                        self.received,
                        Some(self.deadline),
                    );
                    keep.await.map_err(unacknowledged)?;
                }
                return Err(Refused {
                    status: StatusCode::BAD_REQUEST,
                    reason: "broken_body",
                    message: error.to_string(),
                });
            }
        };
        let records: Vec<Raw> = records
            .into_iter()
            .map(|record| body.slice_ref(record.get().as_bytes()).into())
            .collect();
        let (mut published, mut refusals) = (0, Vec::new());
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let mut window = Window::new(WINDOW_RECORDS);
            let fit = rest.iter().take_while(|record| window.takes(record.json.len())).count();
            let (window, later) = rest.split_at(fit);
            let first = records.len() - rest.len();
            for (index, outcome) in (first..).zip(self.window(window).await?) {
                match outcome {
                    Outcome::Published { .. } | Outcome::NotWanted => published += 1,
                    Outcome::Rejected(refusal) => refusals.push((index, refusal)),
                }
            }
            rest = later;
        }
        Ok((published, refusals))
    }

    async fn window(&self, records: &[Raw]) -> Result<Vec<Outcome>, Refused> {
        if self.dryrun {
            let outcomes = records
                .iter()
                .map(|record| Outcome::of(publish::event(self.origin, record, self.received)));
            return Ok(outcomes.collect());
        }
        let write = self
            .publish
            .records(self.origin, records.to_vec(), self.received, Some(self.deadline));
        write.await.map_err(unacknowledged)
    }
}

fn unacknowledged(_: kafka::Error) -> Refused {
    Refused::unavailable("unacknowledged", "not stored; send it again later")
}
