//! What one webhook costs, in instructions: from the bytes of its JSON to the bytes of the event and the key that go to Kafka.
//! `deploy/bin/instructions` runs this under callgrind, which counts inside [`map`] only.
//!
//! `ingest_instructions EVENTS`: that many webhooks of as many users.

use std::hint::black_box;

use ingest_svc::normalize::{Encoded, Mapping, RawRecord, encode};
use jiff::Timestamp;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The body that Braze's dashboard proposes, of one user.
const BODY: &str = include_str!("../tests/fixtures/webhooks/dashboard-sample.json");
const BRAZE_ID: &str = "64b1f0a2c9e77b0012aa34ce";

fn main() {
    let events = std::env::args().nth(1).and_then(|text| text.parse().ok());
    // `cargo test` runs this without a number: once round is enough then.
    let events: usize = events.unwrap_or(1);
    let bodies = (0..events).map(|number| BODY.replace(BRAZE_ID, &format!("{number:024x}")));
    let bodies: Vec<_> = bodies.collect();
    let mapping = Mapping::braze_users();
    for body in &bodies {
        let event = map(mapping, body.as_bytes());
        assert!(
            !event.key.is_empty() && event.payload.len() > BODY.len() / 2,
            "an event of one user"
        );
        black_box(event);
    }
}

/// Never inlined: callgrind knows it by its name.
#[inline(never)]
fn map(mapping: &Mapping, json: &[u8]) -> Encoded {
    let raw = RawRecord {
        account: 1234,
        stream: mapping.stream(),
        json,
        timestamp_field: None,
    };
    encode(mapping, &raw, Timestamp::UNIX_EPOCH).expect("a good record")
}
