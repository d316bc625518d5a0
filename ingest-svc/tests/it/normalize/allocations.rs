//! What the pure path allocates. Counted, not timed: the same on every machine.

use ingest_svc::normalize::{Mapping, RawRecord, encode};

use super::RECEIVED;

/// Of the body that Braze's dashboard proposes. It may fall; if it must rise, the change that raises it says why.
const ACCEPTED: u64 = 5;

#[test]
fn a_webhook_costs_no_more_allocations_than_were_accepted() {
    let json = include_str!("../../fixtures/webhooks/dashboard-sample.json");
    let mapping = Mapping::braze_users();
    let raw = RawRecord {
        account: 1234,
        stream: mapping.stream(),
        json: json.as_bytes(),
        timestamp_field: None,
    };
    let allocated = allocation_counter::measure(|| {
        let event = encode(mapping, &raw, RECEIVED).unwrap();
        assert!(!event.key.is_empty() && event.payload.len() > json.len() / 2);
    });
    assert!(allocated.count_total <= ACCEPTED, "{allocated:?}");
}
