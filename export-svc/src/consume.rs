//! Records in: which feeds a record is for, what it says, and under which identifier it is sent.

mod occurrence;
mod unusable;

use std::sync::Arc;
use std::time::Duration;

use braze::Identifier;
use control::Coalesce;
use kafka::{RecordView, headers};
use model::{AccountNumber, Action, Membership, ReadError, parse_membership_key};
use opentelemetry::trace::{SpanContext, TraceContextExt};

pub(crate) use self::unusable::{Unusable, reasons};
use crate::batch::{self, Change};
use crate::clock::Time;
use crate::feed::{Course, Feed, FeedId, Which};
use crate::positions::Part;
use crate::route;
use crate::workspace::{Fate, Origin, Place, Workspace};

/// What a pending change costs besides its payload and what it says as an event, in bytes: its place in the batch and in the positions.
const CHANGE_BYTES: usize = 400;

impl Workspace {
    /// Takes a record. What is to be kept of it on the rejected topic waits in `to_keep`.
    pub(crate) fn take(&mut self, which: Which, record: &RecordView<'_>, now: Time) {
        let (partition, offset) = (record.partition(), record.offset());
        self.tally.read(which, record.bytes());
        let written = record.timestamp_ms().map(Time::from_millis);
        self.feeds.show(which, partition, written);
        self.feeds.passed(which, partition, offset);
        let mut wanting = std::mem::take(&mut self.wanting);
        wanting.clear();
        let key = record.key().and_then(parse_membership_key);
        self.feeds
            .wanting(which, key.map(|(slug, _)| slug), partition, offset, &mut wanting);
        self.stop_late(record, &mut wanting, now);
        self.take_wanted(record, key, &wanting, now);
        self.feeds.passed(which, partition, offset + 1);
        self.feeds.join();
        // At once: the next record may be the same user's.
        if wanting.iter().any(|feed| self.has_too_many_edges(*feed)) {
            self.make_room();
        }
        self.wanting = wanting;
    }

    /// Feeds that come to a record so late that others before it may have been compacted away unread are in fault, and stay
    /// before it.
    fn stop_late(&mut self, record: &RecordView<'_>, wanting: &mut Vec<FeedId>, now: Time) {
        let written = record.timestamp_ms().map(Time::from_millis);
        let (Some(lag), Some(written)) = (self.layout.compaction_lag, written) else {
            return;
        };
        let (partition, offset) = (record.partition(), record.offset());
        if now.since(written) <= lag {
            return;
        }
        let late: Vec<_> = wanting
            .extract_if(.., |id| self.feeds.is_late(*id, partition, offset, written))
            .collect();
        if late.is_empty() {
            return;
        }
        self.feeds.stick(&late, |_| {
            format!(
                "resync needed: the next record, offset {offset} of partition {partition}, is older than the topic's \
                 min.compaction.lag.ms ({} s), so that others may have been compacted away unread; let the job go on \
                 elsewhere with `export-svc jobs reset`, such as --to-beginning",
                lag.as_secs()
            )
        });
        self.stop(&late, now);
    }

    fn take_wanted(&mut self, record: &RecordView<'_>, key: Option<(&[u8], &[u8])>, wanting: &[FeedId], now: Time) {
        if wanting.is_empty() {
            self.tally.unwanted += 1;
            return;
        }
        self.overtake(key, record.payload(), wanting);
        // Upstream writes it long after the exit, and it names nobody at Braze.
        let Some(payload) = record.payload() else {
            self.tally.tombstones += 1;
            // Or a successor would meet it again, perhaps too late.
            for feed in wanting {
                if let Some(feed) = self.feeds.get_mut(*feed) {
                    feed.positions.advance(record.partition(), record.offset() + 1);
                }
            }
            return;
        };
        // Whoever wants a record with a key wants its audience.
        let slug = key.and_then(|_| Some(Arc::clone(&self.feeds.get(*wanting.first()?)?.slug)));
        let membership = match read(self.account, payload, slug.as_deref(), key) {
            Ok(membership) => membership,
            Err(error) if self.too_many_unusable(record, wanting, &error, now) => return,
            Err(error) => return self.keep_unusable(record, payload, wanting, &error),
        };
        if !self.unusable.is_empty() {
            self.unusable.remove(&record.partition());
        }
        self.tally.wanted += 1;
        let trace = self.trace(record);
        let written = record.timestamp_ms().map(Time::from_millis);
        for feed in wanting {
            if !self.may_take(*feed, &membership, record, now) {
                continue;
            }
            let origin = Origin {
                feed: *feed,
                partition: record.partition(),
                offset: record.offset(),
                part: Part::WHOLE,
                moves: 0,
                written,
                payload: payload.into(),
                trace: trace.clone(),
            };
            self.change(&membership, origin, written, now);
        }
    }

    /// Whether a feed may have a change now. If not, it stays before the record.
    fn may_take(&mut self, id: FeedId, change: &Membership<'_>, record: &RecordView<'_>, now: Time) -> bool {
        let is_enter = change.action == Action::Enter;
        let sends = |feed: &Feed| {
            is_enter
                && feed.removing.is_none()
                && feed.job.options.user_cap.is_some()
                && feed.job.events.include(change.action)
        };
        if !self.feeds.get(id).is_some_and(sends) {
            return true;
        }
        let may = self.feeds.may_add(id, record.partition(), record.offset(), now);
        if !may {
            self.touch();
        }
        may
    }

    /// The span of whoever published the change, if it is sampled and the next request has still room for a link to it. Looking at
    /// a record's headers costs as much as folding it.
    fn trace(&mut self, record: &RecordView<'_>) -> Option<Box<SpanContext>> {
        if self.links_left == 0 {
            return None;
        }
        let context = headers::extract(record.header(headers::TRACEPARENT));
        let span = context.span().span_context().clone();
        self.links_left -= usize::from(span.is_sampled());
        span.is_sampled().then(|| Box::new(span))
    }

    /// One record for one feed: what it says, under the present identifier, after a remove under each that was another before.
    pub(crate) fn change(&mut self, membership: &Membership<'_>, origin: Origin, written: Option<Time>, now: Time) {
        let Some(feed) = self.feeds.get(origin.feed) else {
            return;
        };
        let (partition, offset) = (origin.partition, origin.offset);
        let members_only = feed.tells_members_only(partition, offset);
        let (earlier, present) = users(feed, membership, members_only);
        let is_named = present.is_some() || !earlier.is_empty();
        let course = feed.course(membership.action, partition, offset, is_named);
        let leaves = membership.action == Action::Exit && matches!(course, Course::Sent { .. });
        if leaves && !self.admit_exit(&origin, written, now) {
            return;
        }
        let Some(feed) = self.feeds.get_mut(origin.feed) else {
            return;
        };
        feed.positions.hand(partition, offset);
        let origin = Origin {
            moves: feed.moves,
            ..origin
        };
        let add = match course {
            Course::Sent { add } => add,
            Course::Omitted => return self.settle(origin.place(), Fate::Omitted),
            Course::Nameless => {
                let detail = route::none_has_a_value(&feed.job.identifiers);
                return self.keep_nameless(&origin, detail);
            }
            Course::Passed => {
                feed.positions.settle(partition, offset);
                return;
            }
        };
        let profile = batch::profile_key(membership.profile_id);
        if feed.first_pass || members_only {
            let keys = |identifier| batch::keys(identifier, profile, &feed.attribute, &feed.slug);
            let keys: Vec<_> = earlier.iter().chain(&present).flat_map(keys).collect();
            if self.feeds.is_needless(origin.feed, partition, offset, add, &keys) {
                return self.settle(origin.place(), Fate::Omitted);
            }
        }
        self.push_each((earlier, present), profile, add, origin, written, now);
        self.touch();
    }

    /// A change under the present identifier, after a remove under each of the earlier ones.
    fn push_each(
        &mut self,
        (earlier, present): (Vec<Identifier>, Option<Identifier>),
        profile: u64,
        add: bool,
        origin: Origin,
        written: Option<Time>,
        now: Time,
    ) {
        let parts = u8::try_from(earlier.len()).unwrap_or(u8::MAX) + u8::from(present.is_some());
        let mut each = Part::each(parts);
        for (identifier, part) in earlier.into_iter().zip(&mut each) {
            let origin = Origin { part, ..origin.clone() };
            self.push(profile, identifier, false, origin, written, now);
        }
        if let Some((identifier, part)) = present.zip(each.next()) {
            self.push(profile, identifier, add, Origin { part, ..origin }, written, now);
        }
    }

    /// One change, unless a reading of its record before has settled it.
    fn push(
        &mut self,
        profile: u64,
        identifier: Identifier,
        add: bool,
        origin: Origin,
        written: Option<Time>,
        now: Time,
    ) {
        let Some(feed) = self.feeds.get(origin.feed) else {
            return;
        };
        if feed.positions.is_settled(origin.partition, origin.offset, origin.part) {
            return;
        }
        let (attribute, slug, lane) = (Arc::clone(&feed.attribute), Arc::clone(&feed.slug), feed.lane);
        let existing_only = feed.job.options.update_existing_only;
        let every_edge = feed.job.coalesce == Coalesce::EveryEdge && feed.removing.is_none();
        let occurrence = match feed.job.options.writes.is_attribute() {
            true => None,
            false => match occurrence::of(&feed.job, &slug, add, &origin.payload, written.unwrap_or(now)) {
                Ok(occurrence) => Some(Box::new(occurrence)),
                Err(detail) => return self.keep_unsaid(&origin, detail),
            },
        };
        let said = occurrence
            .as_deref()
            .map_or(0, |clause| size_of_val(clause) + clause.len());
        let flush_at = flush_at(written, feed.job.flush_after, self.config.late_flush_after, now);
        if let Some(takeover) = &self.takeover
            && takeover
                .ends
                .as_ref()
                .is_none_or(|ends| below(ends, origin.partition, origin.offset))
        {
            let keys = batch::keys(&identifier, profile, &attribute, &slug);
            self.order.doubt(keys, add, takeover.doubt_until);
            // It may have sent the opposite, too, of which nothing is left.
            if self.layout.may_have_replaced(written, now) {
                self.order.doubt(keys, !add, takeover.doubt_until);
            }
        }
        let change = Change {
            identifier,
            profile,
            lane,
            attribute,
            slug,
            occurrence,
            add,
            existing_only,
            every_edge,
            flush_at,
            bytes: CHANGE_BYTES + origin.payload.len() + said,
            origin,
        };
        if let Some(superseded) = self.batch.push(change, &self.order, now) {
            let contested = superseded.contested;
            let place = superseded.origin.place();
            self.settle(Place { contested, ..place }, Fate::Omitted);
        }
    }

    fn has_too_many_edges(&self, feed: FeedId) -> bool {
        self.feeds
            .get(feed)
            .is_some_and(|feed| self.batch.has_too_many_edges(&feed.attribute, &feed.slug))
    }
}

/// Whom a record of a feed names: under which identifiers the user was known before, and the one of now. Each is a part of it, in this
/// order. `members_only`: see [`Feed::tells_members_only`].
pub(crate) fn users(
    feed: &Feed,
    membership: &Membership<'_>,
    members_only: bool,
) -> (Vec<Identifier>, Option<Identifier>) {
    let identifiers = &feed.job.identifiers;
    let present = route::identifier(identifiers, &membership.fields);
    let earlier = match feed.job.leaves_earlier() && !members_only {
        true => route::earlier(identifiers, membership, present.as_ref()),
        false => Vec::new(),
    };
    (earlier, present)
}

/// What a record of an account's topic says. `slug`: its audience, if somebody has it at hand.
pub(crate) fn read<'a>(
    account: AccountNumber,
    payload: &'a [u8],
    slug: Option<&'a str>,
    key: Option<(&[u8], &[u8])>,
) -> Result<Membership<'a>, Unusable> {
    let membership = Membership::read(payload, slug).map_err(|error| match error {
        ReadError::Malformed(error) => Unusable::Undecodable(error),
        ReadError::Invalid(error) => Unusable::Invalid(error),
    })?;
    if membership.account != account {
        return Err(Unusable::Account {
            given: membership.account.get(),
            account: account.get(),
        });
    }
    // Compaction goes by the key: under another one this change would outlive its successors.
    if key != Some((membership.audience.as_bytes(), membership.profile_id)) {
        return Err(Unusable::Key);
    }
    Ok(membership)
}

fn below(ends: &[i64], partition: i32, offset: i64) -> bool {
    usize::try_from(partition)
        .ok()
        .and_then(|index| ends.get(index))
        .is_none_or(|end| offset < *end)
}

/// When the request of a change must close: `flush_after` after Kafka's timestamp, never later than `flush_after` from now
/// (clocks differ), and if that has passed already, as in a backlog, `late` from now.
fn flush_at(written: Option<Time>, flush_after: Duration, late: Duration, now: Time) -> Time {
    let due = written.unwrap_or(now) + flush_after;
    if due <= now {
        now + late.min(flush_after)
    } else {
        due.min(now + flush_after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_waits_from_its_timestamp_and_an_old_one_a_second_at_most() {
        let now = Time::from_millis(1_000_000);
        let (flush, late) = (Duration::from_secs(300), Duration::from_secs(1));
        let at = |written: Option<Time>| flush_at(written, flush, late, now);
        assert_eq!(at(Some(now)), now + flush);
        assert_eq!(at(Some(now - Duration::from_secs(299))), now + Duration::from_secs(1));
        assert_eq!(at(Some(now - Duration::from_secs(300))), now + late);
        assert_eq!(at(Some(Time::from_millis(0))), now + late);
        assert_eq!(at(Some(now + flush)), now + flush, "a clock ahead of ours");
        assert_eq!(at(None), now + flush);
        assert_eq!(
            flush_at(Some(Time::MIN), Duration::from_millis(5), late, now),
            now + Duration::from_millis(5)
        );
    }
}
