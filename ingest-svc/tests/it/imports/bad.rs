//! Files and rows that cannot be used.

use jiff::Timestamp;
use proto::imports::v1::ImportFileState;

use crate::harness::imports::{Importing, counters, csv};
use crate::harness::topic;

/// Its third row has a cell too many.
const BAD: &str = "braze_id,email\nb-1,user-1@example.com\nb-2,user-2@example.com\nb-3,user-3@example.com,x\nb-4,user-4@example.com\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_file_stops_at_its_row_and_all_others_are_read() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", csv(10..20));
    importing.put("2.csv", BAD);
    importing.put("3.csv", csv(20..30));
    let job = importing.job(|_| {}).await;
    importing.done(&job, 2).await;
    importing.until(&job, 1, ImportFileState::Bad).await;
    let files = importing.files(&job);
    let bad = files.iter().find(|file| file.key == "2.csv").unwrap();
    assert!(
        bad.state_reason.starts_with("row 3 cannot be read: "),
        "{}",
        bad.state_reason
    );
    assert_eq!(counters(bad).sent, 2);
    importing.emails(22).await;
    // Once it is mended there it is another file; a bounce looks for it, and tries the bad one again at its row.
    importing.put("4.csv", BAD.replace(",x", ""));
    let jobs = importing.service.directory.import_jobs();
    jobs.bounce(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    importing.done(&job, 3).await;
    importing.emails(26).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_cut_off_is_bad_behind_its_last_row() {
    let importing = Importing::start(|_| {}).await;
    let mut packed = gzip(csv(0..2_000).as_bytes());
    packed.truncate(packed.len() - 9);
    importing.put("1.csv.gz", packed);
    let job = importing.job(|_| {}).await;
    importing.until(&job, 1, ImportFileState::Bad).await;
    let reason = importing.files(&job)[0].state_reason.clone();
    assert!(
        reason.contains("broken behind row ") && reason.contains("cut off"),
        "{reason}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_and_bad_rows_are_passed_over_if_that_is_wanted() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", BAD);
    let skips = importing.job(|new| new.skip_bad_files = true).await;
    importing.until(&skips, 1, ImportFileState::Skipped).await;
    let skipped = importing.files(&skips).remove(0);
    assert!(skipped.state_reason.starts_with("row 3 "), "{}", skipped.state_reason);
    let drops = importing.job(|new| new.drop_errors = true).await;
    let files = importing.done(&drops, 1).await;
    let counted = counters(&files[0]);
    assert_eq!((counted.rows, counted.sent, counted.dropped), (4, 3, 1));
    importing.emails(2 + 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_identifies_nobody_is_kept_with_its_file_and_row() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", "braze_id,email\nb-1,user-1@example.com\n,\n");
    let job = importing.job(|_| {}).await;
    let files = importing.done(&job, 1).await;
    assert_eq!((counters(&files[0]).sent, counters(&files[0]).rejected), (1, 1));
    let kept = topic::rejected(&importing.service.kafka, importing.account, 1)
        .await
        .remove(0);
    assert_eq!((kept.code.as_str(), kept.origin.as_str()), ("no_identity", "import"));
    assert_eq!((kept.file.as_deref(), kept.row.as_deref()), (Some("1.csv"), Some("2")));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
