//! A body that is read as a whole: JSON objects, arrays, lines, forms, and the batches of Currents.
#![no_main]

use fuzz::{RECORDS_MAX, map};
use ingest_svc::normalize::Mapping;
use ingest_svc::source::body::{Kind, records};
use ingest_svc::source::currents::events;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: Vec<u8>| {
    for kind in [Kind::of(None, &body), Kind::Form] {
        let Ok((_, records)) = records(kind, &body.clone().into(), RECORDS_MAX) else {
            continue;
        };
        assert!(records.len() <= RECORDS_MAX);
        records.iter().for_each(|record| map(Mapping::braze_users(), record));
    }
    for event in events(&body.into(), RECORDS_MAX).unwrap_or_default() {
        map(Mapping::braze_currents(), &event);
    }
});
