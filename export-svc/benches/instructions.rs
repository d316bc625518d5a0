//! What one update costs the thread of a Braze workspace, in instructions: from the bytes of a record to the bytes of a body.
//! `deploy/bin/instructions` runs this under callgrind, which counts inside [`fold`] or [`settle`] only.
//!
//! `instructions UPDATES`: that many records of as many users, in requests of 75 that Braze accepts.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use braze::{Track, Verdict};
use control::Identifiers;
use export_svc::batch::{Backoff, Batch, BatchLimits, Change, End, Ending, RequestId, profile_key};
use export_svc::clock::Time;
use export_svc::order::{Order, OrderLimits};
use export_svc::route;
use model::{Action, Membership, parse_membership_key};
use prost::Message;
use proto::membership::v1::{MembershipAction, MembershipChange};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const ACCOUNT: u64 = 1234;
const SLUG: &str = "big-spenders";
/// When everything happens.
const NOW: Time = Time::from_millis(1_800_000_000_000);

/// A record of the membership topic.
struct Record {
    key: String,
    payload: Vec<u8>,
}

fn main() {
    let updates = std::env::args().nth(1).and_then(|text| text.parse().ok());
    // `cargo test` runs this without a number: once round is enough then.
    let updates: usize = updates.unwrap_or(braze::OBJECTS_MAX);
    let identifiers = Identifiers {
        external_id_field: Some("user_id".to_owned()),
        ..Identifiers::default()
    };
    let records: Vec<_> = (0..updates).map(record).collect();
    let mut order = Order::new(OrderLimits {
        settle_gap: Duration::from_secs(3),
        doubt: Duration::from_secs(60),
        entries_max: 1_000_000,
        doubts_max: 30_000,
    });
    let mut batch = Batch::new(BatchLimits {
        backoff: Backoff {
            min: Duration::from_secs(1),
            max: Duration::from_secs(60),
        },
        objects_max: braze::OBJECTS_MAX,
        body_bytes_max: braze::BODY_BYTES_MAX,
        pending_max: 20_000,
        pending_bytes_max: 32 << 20,
    });
    let mut objects = 0;
    for records in records.chunks(braze::OBJECTS_MAX) {
        let (request, body) = fold(&mut batch, &order, &identifiers, records);
        objects += body.objects();
        black_box(body);
        settle(&mut batch, &mut order, request, records.len());
    }
    assert_eq!(
        (objects, batch.pending()),
        (updates, 0),
        "every update was sent and settled"
    );
}

/// From records to a finished body. Never inlined: callgrind knows it by its name.
#[inline(never)]
fn fold(batch: &mut Batch<()>, order: &Order, identifiers: &Identifiers, records: &[Record]) -> (RequestId, Track) {
    let (attribute, slug): (Arc<str>, Arc<str>) = (control::ATTRIBUTE.into(), SLUG.into());
    for record in records {
        let key = parse_membership_key(record.key.as_bytes());
        let change = Membership::read(&record.payload, Some(&slug)).expect("a good record");
        assert_eq!(key, Some((change.audience.as_bytes(), change.profile_id)));
        let change = Change {
            identifier: route::identifier(identifiers, &change.fields).expect("an identifier"),
            add: change.action == Action::Enter,
            existing_only: false,
            every_edge: false,
            profile: profile_key(change.profile_id),
            lane: 1,
            attribute: Arc::clone(&attribute),
            slug: Arc::clone(&slug),
            occurrence: None,
            flush_at: NOW + Duration::from_secs(300),
            bytes: record.payload.len(),
            origin: (),
        };
        batch.push(change, order, NOW);
    }
    if !batch.is_ready(NOW) {
        batch.drain();
    }
    let request = batch.close(order, NOW).expect("a full request");
    (request, batch.body(request).expect("75 short objects fit"))
}

/// Braze has accepted a request.
#[inline(never)]
fn settle(batch: &mut Batch<()>, order: &mut Order, request: RequestId, objects: usize) {
    let ending = Ending {
        end: End::Accepted,
        verdicts: vec![Verdict::Accepted; objects],
        split: false,
    };
    black_box(batch.complete(request, ending, order, NOW));
}

fn record(number: usize) -> Record {
    let profile_id = format!("{:032x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let change = MembershipChange {
        account: ACCOUNT,
        audience_id: SLUG.to_owned(),
        audience_slug: SLUG.to_owned(),
        action: MembershipAction::Enter.into(),
        event_time: Some(prost_types::Timestamp {
            seconds: 1_800_000_000,
            nanos: 0,
        }),
        fields: [("user_id".to_owned(), format!("cust-{number:07}"))].into(),
        profile_id,
        ..MembershipChange::default()
    };
    Record {
        key: model::membership_key(SLUG, &change.profile_id),
        payload: change.encode_to_vec(),
    }
}
