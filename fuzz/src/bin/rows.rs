//! A body that is read as it arrives, in pieces: CSV and lines. However it is cut, the same records are found.
#![no_main]

use fuzz::map;
use ingest_svc::normalize::Mapping;
use ingest_svc::source::Raw;
use ingest_svc::source::rows::{Csv, CsvOptions, Lines, Rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    // The first bytes say how it is read.
    let [piece, delimiter, body @ ..] = body else { return };
    let csv = || {
        let options = CsvOptions {
            delimiter: if *delimiter < 128 { b',' } else { b'\t' },
            headers: (*delimiter % 2 == 0).then(|| vec!["braze_id".to_owned(), "email".to_owned()]),
            append: Default::default(),
        };
        Rows::Csv(Box::new(Csv::new(&options)))
    };
    let lines = || Rows::Lines(Lines::default());
    for rows in [&csv as &dyn Fn() -> Rows, &lines] {
        let whole = read(rows(), body, body.len());
        assert_eq!(whole, read(rows(), body, usize::from(*piece)));
    }
});

/// Everything that is found, mapped: the records, and how it ended.
fn read(mut rows: Rows, body: &[u8], piece: usize) -> (Vec<(Vec<u8>, Option<String>)>, bool) {
    let mut found = Vec::new();
    let mut take = |raw: Raw| {
        map(Mapping::braze_users(), &raw);
        found.push((raw.json.to_vec(), raw.unusable));
    };
    for mut input in body.chunks(piece.max(1)) {
        loop {
            match rows.next(&mut input) {
                Ok(Some(raw)) => take(raw),
                Ok(None) => break,
                Err(_) => return (found, false),
            }
        }
    }
    let ended = rows.end();
    let good = ended.is_ok();
    ended.into_iter().flatten().for_each(take);
    (found, good)
}
