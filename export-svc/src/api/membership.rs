//! `lytics.membership.v1.AudienceMembershipService`.

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::Bytes;
use control::{Caller, Directory, Error};
use futures::stream::{self, Stream, StreamExt};
use kafka::{Ack, Disposition, Publisher, RecordOut, Topics};
use model::{AccountRef, Membership, membership_key};
use opentelemetry::Context;
use prost::Message;
use proto::membership::v1::audience_membership_service_server::AudienceMembershipService;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{
    MembershipChange, PublishMembershipChangesRequest, PublishMembershipChangesResponse, PublishedAt, PublishedTrigger,
};
use runtime::window::next_window;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::SEND;
use crate::metrics;
use crate::trigger::{self, Changes};

/// Full name of the message on the membership topic.
const MESSAGE_TYPE: &str = "lytics.membership.v1.MembershipChange";

#[derive(Clone)]
pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) publisher: Publisher,
    pub(super) topics: Topics,
    pub(super) window_max: usize,
    pub(super) drain: CancellationToken,
}

type Answers = Pin<Box<dyn Stream<Item = Result<PublishMembershipChangesResponse, Status>> + Send>>;
type Asked = Result<PublishMembershipChangesRequest, Status>;

#[tonic::async_trait]
impl AudienceMembershipService for Service {
    type PublishMembershipChangesStream = Answers;

    async fn publish_membership_changes(
        &self,
        request: Request<Streaming<PublishMembershipChangesRequest>>,
    ) -> Result<Response<Answers>, Status> {
        let caller = self.directory.admit(&request, SEND)?;
        let (metadata, extensions, requests) = request.into_parts();
        let call = Call {
            service: self.clone(),
            credentials: Request::from_parts(metadata, extensions, ()),
            caller,
            context: runtime::trace::current(),
            next_index: 0,
        };
        Ok(Response::new(call.answers(requests)))
    }
}

/// One call: changes in, answers out, in order. What is ready is published together, and the next changes are taken when all
/// of it is acknowledged, so changes of one key keep their order and at most a window of them, in number and in bytes, is in
/// flight.
struct Call {
    service: Service,
    credentials: Request<()>,
    /// Who sent the credentials, as the control table had it when the last window was checked.
    caller: Caller,
    /// Of the call's span: every record carries it.
    context: Context,
    next_index: u64,
}

impl Call {
    fn answers(self, requests: Streaming<PublishMembershipChangesRequest>) -> Answers {
        let drain = self.service.drain.clone();
        let drained = drain.clone();
        let interrupted = stream::once(async move { drained.is_cancelled() })
            .filter_map(|drained| async move { drained.then(|| Err(draining())) });
        let window_max = self.service.window_max;
        let asked = requests.take_until(drain.cancelled_owned()).chain(interrupted);
        let windows = stream::unfold(Box::pin(asked.peekable()), move |from| {
            next_window(from, window_max, bytes)
        });
        let answered = windows.scan(self, |call, chunk| {
            let work = call.prepare(chunk);
            let publisher = call.service.publisher.clone();
            async move { Some(stream::iter(work.publish(&publisher).await)) }
        });
        Box::pin(answered.flatten())
    }

    /// Checks a window of changes. The first error of the stream itself ends it, and so does a token that was revoked
    /// meanwhile: a stream may outlive its token.
    fn prepare(&mut self, chunk: Vec<Asked>) -> Work {
        let mut work = Work::default();
        match self.service.directory.admit(&self.credentials, SEND) {
            Ok(caller) => self.caller = caller,
            Err(refused) => {
                work.ended = Some(refused);
                return work;
            }
        }
        for asked in chunk {
            let taken = asked.map_err(Refused::Call).and_then(|request| self.take(request));
            let slot = match taken {
                Ok((records, slot)) => {
                    work.records.extend(records);
                    slot
                }
                Err(Refused::Request(reason)) => Slot::Refused(reason),
                Err(Refused::Call(status)) => {
                    work.ended = Some(status);
                    break;
                }
            };
            work.slots.push_back((self.next_index, slot));
            self.next_index += 1;
        }
        work
    }

    /// The records of a request: all, or none.
    fn take(&self, request: PublishMembershipChangesRequest) -> Result<(Vec<RecordOut>, Slot), Refused> {
        match (request.change, request.trigger_message) {
            (Some(change), None) => Ok((vec![self.record(change)?], Slot::Change)),
            (None, Some(trigger)) => {
                let refused = |problem: trigger::Problem| Refused::Request(problem.to_string());
                let Changes { changes, ignored } = trigger::changes(&trigger).map_err(refused)?;
                let records: Vec<_> = changes
                    .into_iter()
                    .map(|change| self.record(change))
                    .collect::<Result<_, _>>()?;
                let changes = records.len();
                Ok((records, Slot::Trigger { changes, ignored }))
            }
            (None, None) => Err(Refused::Request("change is missing".to_owned())),
            (Some(_), Some(_)) => Err(Refused::Request(
                "give a change or a trigger_message, not both".to_owned(),
            )),
        }
    }

    fn record(&self, mut change: MembershipChange) -> Result<RecordOut, Refused> {
        let checked = Membership::try_from(&change).map(|membership| membership.account);
        let account = checked.map_err(|error| Refused::Request(error.to_string()))?;
        let key = membership_key(&change.audience_slug, &change.profile_id);
        self.caller
            .require(account, SEND)
            .map_err(|error| Refused::Request(error.to_string()))?;
        match self.service.directory.account(AccountRef::Number(account)) {
            Ok(_) => {}
            Err(error @ Error::NotFound(_)) => return Err(Refused::Request(error.to_string())),
            Err(error) => return Err(Refused::Call(error.into())),
        }
        if change.audience_id.is_empty() {
            change.audience_id.clone_from(&change.audience_slug);
        }
        let mut record = RecordOut::new(self.service.topics.audience_membership(account.get()))
            .key(key)
            .payload(Bytes::from(change.encode_to_vec()));
        record.headers = kafka::headers::standard(MESSAGE_TYPE, &self.context);
        Ok(record)
    }
}

/// What a change takes of a window.
fn bytes(asked: &Asked) -> usize {
    asked.as_ref().map_or(0, Message::encoded_len)
}

enum Refused {
    /// This request; the call goes on.
    Request(String),
    /// Nothing can be decided now.
    Call(Status),
}

/// What is published of a request.
enum Slot {
    /// Nothing, and why.
    Refused(String),
    /// One record.
    Change,
    /// So many records, of a trigger message that says other things, too.
    Trigger { changes: usize, ignored: u32 },
}

/// A window of requests: the records to publish, and every answer's place, by the request's index.
#[derive(Default)]
struct Work {
    records: Vec<RecordOut>,
    slots: VecDeque<(u64, Slot)>,
    ended: Option<Status>,
}

impl Work {
    /// The answers in order, up to the first change whose outcome is not known: the caller has to send that one and all after
    /// it again.
    async fn publish(self, publisher: &Publisher) -> Vec<Result<PublishMembershipChangesResponse, Status>> {
        let mut acks = publish(publisher, self.records).await.into_iter();
        let mut answers = Vec::with_capacity(self.slots.len() + 1);
        for (index, slot) in self.slots {
            match outcome(slot, &mut acks) {
                Ok(outcome) => {
                    metrics::published(if matches!(outcome, Outcome::RejectedReason(_)) {
                        "rejected"
                    } else {
                        "published"
                    });
                    answers.push(Ok(PublishMembershipChangesResponse {
                        index,
                        outcome: Some(outcome),
                    }));
                }
                Err(status) => {
                    metrics::published("unacknowledged");
                    answers.push(Err(status));
                    return answers;
                }
            }
        }
        answers.extend(self.ended.map(Err));
        answers
    }
}

async fn publish(publisher: &Publisher, records: Vec<RecordOut>) -> Vec<Result<Ack, kafka::Error>> {
    if records.is_empty() {
        return Vec::new();
    }
    let began = Instant::now();
    let acks = publisher.publish_all(records).await;
    ::metrics::histogram!(metrics::PUBLISH_SECONDS).record(began.elapsed());
    acks
}

/// The answer to a request, which takes the acknowledgements of its records. An error if it is not known whether Kafka has them.
fn outcome(slot: Slot, acks: &mut impl Iterator<Item = Result<Ack, kafka::Error>>) -> Result<Outcome, Status> {
    let (changes, ignored) = match slot {
        Slot::Refused(reason) => return Ok(Outcome::RejectedReason(reason)),
        Slot::Change => (1, None),
        Slot::Trigger { changes, ignored } => (changes, Some(ignored)),
    };
    let mut published = Vec::with_capacity(changes);
    let mut rejected = None;
    for acked in acks.take(changes) {
        match at(acked)? {
            Ok(at) => published.push(at),
            Err(reason) => rejected = Some(reason),
        }
    }
    match (rejected, ignored) {
        (Some(reason), _) => Ok(Outcome::RejectedReason(reason)),
        (None, Some(ignored)) => Ok(Outcome::PublishedTrigger(PublishedTrigger { published, ignored })),
        (None, None) => {
            let published = published.pop().map(Outcome::Published);
            published.ok_or_else(|| Status::internal("an acknowledgement is missing"))
        }
    }
}

/// Where a record is; or, in words, why Kafka will never have it.
fn at(acked: Result<Ack, kafka::Error>) -> Result<Result<PublishedAt, String>, Status> {
    match acked {
        Ok(Ack { partition, offset }) => Ok(Ok(PublishedAt { partition, offset })),
        Err(error) if error.disposition() == Disposition::Reject => Ok(Err(error.to_string())),
        Err(error) => {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a membership change was not acknowledged"
            );
            Err(Status::unavailable(
                "Kafka did not acknowledge in time; send the changes that were not answered again, later",
            ))
        }
    }
}

fn draining() -> Status {
    Status::unavailable("this replica is shutting down; send the changes that were not answered again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_told_the_bytes_of_the_changes() {
        let change = MembershipChange {
            profile_id: "p".repeat(1_000),
            ..MembershipChange::default()
        };
        let asked = |change| {
            bytes(&Ok(PublishMembershipChangesRequest {
                change,
                trigger_message: None,
            }))
        };
        assert!((1_000..1_020).contains(&asked(Some(change))));
        assert_eq!(asked(None), 0);
        assert_eq!(bytes(&Err(draining())), 0);
    }
}
