//! Jobs that look again: what is new, what is missing, what has changed, and what is the same.

use std::collections::BTreeSet;
use std::time::Duration;

use control::{ImportJob, ImportSchedule, ImportSource};
use ingest_svc::config::Config;
use jiff::Timestamp;
use proto::imports::v1::ImportFileState;

use crate::harness::imports::{Importing, counters, csv};
use crate::harness::s3::S3;
use crate::harness::until;

async fn bounce(importing: &Importing, job: &ImportJob) {
    let jobs = importing.service.directory.import_jobs();
    jobs.bounce(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_twice_and_a_file_with_new_content_is_another() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", csv(0..10));
    let job = importing
        .job(|new| new.schedule = Some(ImportSchedule::Every(Duration::from_secs(3_600))))
        .await;
    importing.done(&job, 1).await;
    importing.put("2.csv", csv(10..20));
    bounce(&importing, &job).await;
    importing.done(&job, 2).await;
    importing.put("1.csv", csv(20..35));
    bounce(&importing, &job).await;
    let files = importing.done(&job, 3).await;
    let keys: Vec<_> = files.iter().map(|file| file.key.as_str()).collect();
    assert_eq!(keys, ["1.csv", "2.csv", "1.csv"]);
    let emails: BTreeSet<_> = importing.emails(35).await.into_iter().collect();
    assert_eq!(emails.len(), 35);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_files_that_match_are_read_and_a_job_without_any_goes_on_looking() {
    let importing = Importing::start(|_| {}).await;
    importing.put("users.txt", csv(0..10));
    let job = importing
        .job(|new| {
            let ImportSource::Storage(files) = &mut new.source else {
                unreachable!()
            };
            "users_".clone_into(&mut files.prefix);
            r"\d{8}\.csv".clone_into(&mut files.pattern);
        })
        .await;
    until("it has looked", || importing.coordinated(&job).looks == 1).await;
    let looked = importing.coordinated(&job);
    assert!(
        looked.resume_time.is_some() && looked.reason.contains("looked for again"),
        "{looked:?}"
    );
    importing.put("users_20260701.csv", csv(10..12));
    importing.put("users_20260701.csv.part", csv(12..20));
    bounce(&importing, &job).await;
    let files = importing.done(&job, 1).await;
    assert_eq!(files.len(), 1);
    importing.emails(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_before_it_is_read_is_passed_over_and_looked_for_again() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", csv(0..10));
    let job = importing.job(|_| {}).await;
    // As if it had been found, and not read.
    let jobs = importing.service.directory.import_jobs();
    importing.done(&job, 1).await;
    jobs.pause(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    importing.forget_the_end(&job).await;
    importing.put("1.csv", csv(20..40));
    jobs.resume(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    importing.until(&job, 1, ImportFileState::Skipped).await;
    let files = importing.done(&job, 1).await;
    assert_eq!(files.len(), 2, "{files:?}");
    assert!(files[0].state_reason.contains("changed"), "{}", files[0].state_reason);
    importing.emails(30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_file_only_the_rows_are_sent_that_the_one_before_it_does_not_have() {
    let importing = Importing::start(|_| {}).await;
    importing.put("1.csv", csv(0..1_500));
    let job = importing.job(|new| new.diff = true).await;
    importing.done(&job, 1).await;
    importing.put("2.csv", csv(1_000..2_500));
    bounce(&importing, &job).await;
    let files = importing.done(&job, 2).await;
    let counted = counters(&files[1]);
    assert_eq!((counted.rows, counted.sent, counted.unchanged), (1_500, 1_000, 500));
    importing.emails(2_500).await;
    // What it would be compared with has gone: everything is sent.
    std::fs::remove_file(importing.folder().join("2.csv")).unwrap();
    importing.put("3.csv", csv(2_000..2_500));
    bounce(&importing, &job).await;
    let files = importing.done(&job, 3).await;
    assert_eq!((counters(&files[2]).sent, counters(&files[2]).unchanged), (500, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_job_that_fails_is_why_and_when_it_goes_on() {
    let importing =
        Importing::start(|config: &mut Config| config.imports.endpoints = vec!["http://127.0.0.1:9".to_owned()]);
    let importing = importing.await;
    let s3 = S3::start().await;
    // Not among the endpoints that the installation allows.
    let job = importing.job_of_s3(&s3, |_| {}).await;
    until("it has tried", || importing.coordinated(&job).failures == 1).await;
    let failed = importing.coordinated(&job);
    assert!(failed.resume_time.is_some() && !failed.reason.is_empty(), "{failed:?}");
    assert!(!failed.reason.contains("secret-1"), "{failed:?}");
}
