//! Takes a request: whether it may be, what its records are, and what became of them.

use std::net::IpAddr;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode, header};
use model::AccountNumber;
use runtime::window::WINDOW_BYTES;
use tokio::time::Instant;
use tracing::Span;

use super::admission::Admitted;
use super::chunks::{Chunks, Coding};
use super::endpoint::Endpoint;
use super::envelope::Summary;
use super::parameters::Parameters;
use super::refused::{Refused, busy};
use super::stream::Stream;
use super::tally::Tally;
use super::throttle::Permit;
use super::work::Work;
use super::{Parts, Webhook, receive};
use crate::normalize::CURRENTS_STREAM;
use crate::source::body::{Kind, is_said_to_be_csv, record_of_fields};
use crate::source::{Origin, STREAM_BYTES_MAX, Source};

/// What a raw record is.
const JSON: &[u8] = b"application/json";

/// A request, without its body.
pub(super) struct Request<'a> {
    pub(super) endpoint: Endpoint,
    pub(super) method: &'a Method,
    /// As the sender names it; `None` if it leaves that to its token.
    pub(super) account: Option<&'a str>,
    pub(super) stream: &'a str,
    pub(super) parameters: &'a Parameters,
    pub(super) headers: &'a HeaderMap,
    /// Whom the connection is from.
    pub(super) peer: Option<IpAddr>,
    /// When the sender is answered at the latest, unless it is an upload in bulk.
    pub(super) deadline: Instant,
}

/// Where the records of a request are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In the query string.
    Query,
    /// In a body that is read as a whole.
    Whole,
    /// The same, in the envelope of Braze's Currents.
    Currents,
    /// In a body that is read as it arrives.
    Rows,
}

impl Request<'_> {
    fn way(&self) -> Way {
        match self.endpoint {
            _ if *self.method == Method::GET => Way::Query,
            Endpoint::Collector if self.stream == CURRENTS_STREAM => Way::Currents,
            Endpoint::Bulk => Way::Rows,
            Endpoint::Collector | Endpoint::Json if is_said_to_be_csv(self.content_type()) => Way::Rows,
            Endpoint::Collector | Endpoint::Json => Way::Whole,
        }
    }

    /// What the sender says the body is.
    fn content_type(&self) -> Option<&[u8]> {
        Some(self.headers.get(header::CONTENT_TYPE)?.as_bytes())
    }

    /// How long the sender says the body is; 0 if it does not say.
    fn declared(&self) -> u64 {
        let declared = self.headers.get(header::CONTENT_LENGTH);
        declared
            .and_then(|length| length.to_str().ok()?.parse().ok())
            .unwrap_or(0)
    }
}

impl Webhook {
    pub(super) async fn take(&self, request: Request<'_>, body: &mut Body) -> Result<Summary, Refused> {
        if request.stream.len() > STREAM_BYTES_MAX {
            let message = format!("the stream's name is longer than {STREAM_BYTES_MAX} bytes");
            return Err(Refused::path(message));
        }
        let (parts, account, mut admitted, _permit) = self.admit(&request)?;
        Span::current().record("account", account.get());
        let (limits, parameters) = (&*self.limits, request.parameters);
        let origin = Origin {
            account,
            stream: request.stream.to_owned(),
            chosen: parts.mappings.choose(account, request.stream),
            source: match request.way() {
                Way::Currents => Source::Currents,
                _ => request.endpoint.source(),
            },
            content_type: Some(Bytes::from_static(JSON)),
            timestamp_field: Some(parameters.timestamp_field.clone()).filter(|field| !field.is_empty()),
            file: None,
        };
        let in_bulk = request.endpoint == Endpoint::Bulk;
        let work = Work {
            publish: if in_bulk { &parts.publish_bulk } else { &parts.publish },
            origin: &origin,
            content_type: request.content_type(),
            deadline: (!in_bulk).then_some(request.deadline),
            dryrun: parameters.dryrun,
        };
        let mut chunks = Chunks::new(body, Coding::of(request.headers)?);
        let (kind, tally) = match request.way() {
            Way::Query => (Kind::Form, work.query(parameters).await?),
            way @ (Way::Whole | Way::Currents) => {
                let (bytes_max, timeout) = (limits.body_bytes_max, limits.body_timeout);
                let body = receive::body(&mut chunks, &mut admitted, bytes_max, timeout).await?;
                if way == Way::Currents {
                    (Kind::Json, work.currents(&body, limits.records_max).await?)
                } else {
                    let kind = Kind::of(request.content_type(), &body);
                    work.body(kind, &body, limits.records_max).await?
                }
            }
            Way::Rows => {
                let stream = Stream {
                    work,
                    parameters,
                    bytes_max: if in_bulk { usize::MAX } else { limits.body_bytes_max },
                    pause_max: limits.body_timeout,
                    drain: &self.drain,
                    // An upload may outlive its token.
                    may_go_on: &|| parts.authorize(&request).map(drop),
                };
                stream.run(&mut chunks).await?
            }
        };
        Ok(summary(parameters, kind, tally))
    }

    /// Everything that can be said before the body is read.
    fn admit(&self, request: &Request<'_>) -> Result<(&Parts, AccountNumber, Admitted, Permit), Refused> {
        let (bound, admission) = match request.endpoint {
            Endpoint::Bulk => ("bulk", &self.bulk),
            Endpoint::Collector | Endpoint::Json => ("requests", &self.admission),
        };
        let Some(mut admitted) = admission.enter() else {
            return Err(busy(bound));
        };
        let parts = self.parts.get();
        let parts = parts.ok_or_else(|| Refused::unavailable("starting", "starting"))?;
        let (caller, account) = parts.authorize(request)?;
        let permit = self.throttle.enter(&caller)?;
        let (declared, max) = (request.declared(), self.limits.body_bytes_max);
        let declared = usize::try_from(declared).ok().filter(|declared| *declared <= max);
        let needed = match (request.way(), declared) {
            (Way::Query, _) => 0,
            (Way::Rows, _) if request.endpoint == Endpoint::Bulk => WINDOW_BYTES,
            (Way::Rows, Some(_)) => WINDOW_BYTES,
            (Way::Whole | Way::Currents, Some(declared)) => declared,
            (Way::Rows | Way::Whole | Way::Currents, None) => return Err(receive::too_large(max)),
        };
        if !admitted.reserve(needed) {
            return Err(busy("held_bytes"));
        }
        Ok((parts, account, admitted, permit))
    }
}

impl Work<'_> {
    /// What became of the record that a query string is.
    async fn query(&self, parameters: &Parameters) -> Result<Tally, Refused> {
        let unusable = |message: String| Refused {
            status: StatusCode::BAD_REQUEST,
            reason: "query",
            message,
        };
        if parameters.fields.is_empty() {
            let message =
                "the query string has no fields besides the parameters; name some, such as &email=a@example.com";
            return Err(unusable(message.to_owned()));
        }
        let record = record_of_fields(parameters.fields()).map_err(|error| unusable(error.to_string()))?;
        self.records(vec![record.into()]).await
    }
}

fn summary(parameters: &Parameters, kind: Kind, tally: Tally) -> Summary {
    Summary {
        message_count: tally.records - tally.rejected,
        rejected_count: tally.rejected,
        content_type: kind.as_str(),
        droperrors: parameters.droperrors,
        dryrun: parameters.dryrun,
        timestamp_field: parameters.timestamp_field.clone(),
        filename: parameters.filename.clone(),
        not_wanted_count: tally.not_wanted,
        rejected: tally.listed,
    }
}
