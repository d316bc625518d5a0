//! From a body that was read to its outcomes.

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use runtime::window::Window;
use tokio::time::Instant;

use super::refused::Refused;
use super::tally::Tally;
use crate::metrics;
use crate::publish::{self, Outcome, Publish, Refusal};
use crate::source::body::{BodyError, Kind, records};
use crate::source::{Origin, Raw, currents};

/// Records published before the next of the same body are looked at.
pub(super) const WINDOW_RECORDS: usize = 1_000;

/// One body on its way to Kafka.
pub(super) struct Work<'a> {
    pub(super) publish: &'a Publish,
    pub(super) origin: &'a Origin,
    /// What the sender says the body is.
    pub(super) content_type: Option<&'a [u8]>,
    /// When the sender is answered, whatever Kafka does; `None` if only the acknowledgement timeout counts.
    pub(super) deadline: Option<Instant>,
    pub(super) dryrun: bool,
}

impl Work<'_> {
    /// What became of the records of a body that was read as a whole.
    pub(super) async fn body(&self, kind: Kind, body: &Bytes, records_max: usize) -> Result<(Kind, Tally), Refused> {
        let (kind, records) = match records(kind, body, records_max) {
            Ok(records) => records,
            Err(error @ BodyError::TooMany { .. }) => return Err(too_many(&error)),
            Err(error) => return Err(self.keep(body, &error).await?),
        };
        Ok((kind, self.records(records).await?))
    }

    /// What became of the events of a body of Currents. Never 400: Braze would send them again one by one, and then drop them.
    pub(super) async fn currents(&self, body: &Bytes, records_max: usize) -> Result<Tally, Refused> {
        let events = currents::events(body, records_max).map_err(|error| too_many(&error))?;
        self.records(events).await
    }

    /// What became of these records.
    pub(super) async fn records(&self, records: Vec<Raw>) -> Result<Tally, Refused> {
        let mut tally = Tally::default();
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let mut window = Window::new(WINDOW_RECORDS);
            let fit = rest.iter().take_while(|record| window.takes(record.json.len())).count();
            let (window, later) = rest.split_at(fit);
            for outcome in self.window(window.to_vec()).await? {
                tally.add(&outcome);
            }
            rest = later;
        }
        Ok(tally)
    }

    /// Keeps a body that holds no records; the answer to its sender.
    async fn keep(&self, body: &Bytes, error: &BodyError) -> Result<Refused, Refused> {
        if !self.dryrun {
            let refusal = Refusal::Body(error.to_string());
            let origin = Origin {
                content_type: self.content_type.map(Bytes::copy_from_slice),
                ..self.origin.clone()
            };
            let (body, received) = (body.clone(), Timestamp::now());
            let keep = self
                .publish
                .refused_body(&origin, body, refusal, received, self.deadline);
            keep.await.map_err(unacknowledged)?;
        }
        Ok(Refused {
            status: StatusCode::BAD_REQUEST,
            reason: "broken_body",
            message: error.to_string(),
        })
    }

    /// What becomes of records that fit a window, once Kafka has acknowledged them.
    pub(super) async fn window(&self, records: Vec<Raw>) -> Result<Vec<Outcome>, Refused> {
        let received = Timestamp::now();
        if self.dryrun {
            let outcomes = records
                .iter()
                .map(|record| Outcome::of(publish::event(self.origin, record, received)));
            return Ok(outcomes.collect());
        }
        let write = self.publish.records(self.origin, records, received, self.deadline);
        write.await.map_err(unacknowledged)
    }
}

/// 413.
fn too_many(error: &BodyError) -> Refused {
    ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "records").increment(1);
    Refused {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "records",
        message: error.to_string(),
    }
}

fn unacknowledged(_: kafka::Error) -> Refused {
    Refused::unavailable("unacknowledged", "not stored; send it again later")
}
