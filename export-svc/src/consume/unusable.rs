//! Records that cannot be sent: kept on the rejected topic, for each job that wanted them.

use bytes::Bytes;
use kafka::{RecordOut, RecordView, headers};
use model::{Malformed, MembershipError};
use opentelemetry::Context;
use prost::Message;
use proto::export::v1::RejectedChange;
use proto::membership::v1::MembershipChange;

use crate::clock::Time;
use crate::feed::FeedId;
use crate::positions::Part;
use crate::workspace::{Fate, Origin, Place, Workspace};

/// So many records of a partition in a row that cannot be used are not kept one by one any more: their jobs are in fault.
const UNUSABLE_IN_A_ROW_MAX: u32 = 1_000;

/// The reason of a change whose profile has no value in any of the job's identifier fields.
const NO_IDENTIFIER: &str = "no_identifier";
/// Reason of a change that lacks a value of the purchase that it is to be.
const NO_PURCHASE: &str = "no_purchase";
/// The reasons of records that break the contract.
const UNDECODABLE: &str = "undecodable";
const INVALID: &str = "invalid";
const WRONG_ACCOUNT: &str = "wrong_account";
const WRONG_KEY: &str = "wrong_key";

/// Every word that says why a change was omitted.
pub(crate) fn reasons() -> impl Iterator<Item = &'static str> {
    let refused = braze::Reason::ALL.into_iter().map(braze::Reason::as_str);
    let unsent = [NO_IDENTIFIER, NO_PURCHASE];
    let broken = [UNDECODABLE, INVALID, WRONG_ACCOUNT, WRONG_KEY];
    unsent.into_iter().chain(broken).chain(refused)
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("the value is no MembershipChange")]
    Undecodable(#[source] Malformed),
    #[error("{0}")]
    Invalid(#[source] MembershipError),
    #[error("the change belongs to account {given}, the topic to account {account}")]
    Account { given: u64, account: u64 },
    #[error("the key must be the change's <audience slug>/<profile id>")]
    Key,
}

impl Unusable {
    /// A word to filter by.
    fn word(&self) -> &'static str {
        match self {
            Self::Undecodable(_) => UNDECODABLE,
            Self::Invalid(_) => INVALID,
            Self::Account { .. } => WRONG_ACCOUNT,
            Self::Key => WRONG_KEY,
        }
    }
}

impl Workspace {
    /// Counts a record that cannot be used. If it is one too many in a row, whoever wants it is in fault instead and stays
    /// before it: what is wrong is not the records.
    pub(super) fn too_many_unusable(
        &mut self,
        record: &RecordView<'_>,
        wanting: &[FeedId],
        error: &Unusable,
        now: Time,
    ) -> bool {
        let (partition, offset) = (record.partition(), record.offset());
        let in_a_row = self.unusable.entry(partition).or_default();
        *in_a_row += 1;
        if *in_a_row < UNUSABLE_IN_A_ROW_MAX {
            return false;
        }
        self.unusable.remove(&partition);
        self.feeds.stick(wanting, |_| {
            format!(
                "{UNUSABLE_IN_A_ROW_MAX} records in a row cannot be used; at offset {offset} of partition {partition}: {error}"
            )
        });
        self.stop(wanting, now);
        true
    }

    /// The change, or the bytes if they are none, once for each job that it was for.
    pub(super) fn keep_unusable(
        &mut self,
        record: &RecordView<'_>,
        payload: &[u8],
        wanting: &[FeedId],
        reason: &Unusable,
    ) {
        self.tally.unreadable += 1;
        let (partition, offset) = (record.partition(), record.offset());
        let change = MembershipChange::decode(payload).ok();
        let raw: &[u8] = if change.is_none() { payload } else { &[] };
        let rejected = RejectedChange {
            raw: Bytes::copy_from_slice(raw),
            change,
            reason: reason.word().to_owned(),
            detail: reason.to_string(),
            partition,
            offset,
            ..RejectedChange::default()
        };
        let context = headers::extract(record.header(headers::TRACEPARENT));
        for id in wanting {
            let Some(feed) = self.feeds.get_mut(*id) else { continue };
            feed.positions.hand(partition, offset);
            let place = Place {
                feed: *id,
                partition,
                offset,
                part: Part::WHOLE,
                moves: feed.moves,
                contested: false,
            };
            if let Some(record) = self.rejected_record(*id, rejected.clone(), &context) {
                self.to_keep.add(place, Fate::Rejected, record);
            }
        }
    }

    /// A change that names nobody at Braze; `detail` says which fields could have.
    pub(super) fn keep_nameless(&mut self, origin: &Origin, detail: String) {
        self.keep_omitted(origin, NO_IDENTIFIER, detail);
    }

    /// A change that does not say what Braze must be told; `detail` says what that is.
    pub(super) fn keep_unsaid(&mut self, origin: &Origin, detail: String) {
        self.keep_omitted(origin, NO_PURCHASE, detail);
    }

    fn keep_omitted(&mut self, origin: &Origin, reason: &str, detail: String) {
        let rejected = RejectedChange {
            reason: reason.to_owned(),
            detail,
            ..RejectedChange::default()
        };
        if let Some(record) = self.rejected(origin, rejected) {
            self.to_keep.add(origin.place(), Fate::Omitted, record);
        }
    }

    /// A change that is not sent any more, for the rejected topic, with where it was read from.
    pub(crate) fn rejected(&self, origin: &Origin, rejected: RejectedChange) -> Option<RecordOut> {
        let rejected = RejectedChange {
            change: MembershipChange::decode(&*origin.payload).ok(),
            partition: origin.partition,
            offset: origin.offset,
            ..rejected
        };
        self.rejected_record(origin.feed, rejected, &origin.context())
    }

    fn rejected_record(&self, feed: FeedId, rejected: RejectedChange, context: &Context) -> Option<RecordOut> {
        let job = self.feeds.get(feed)?.job_name.clone();
        let rejected = RejectedChange {
            job: job.clone(),
            topic: self.layout.topic.clone(),
            ..rejected
        };
        let record = RecordOut::new(self.topics.export_rejected())
            .key(job)
            .payload(rejected.encode_to_vec());
        Some(RecordOut {
            headers: headers::standard("lytics.export.v1.RejectedChange", context),
            ..record
        })
    }
}
