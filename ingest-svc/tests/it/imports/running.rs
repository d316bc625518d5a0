//! What becomes of a file that is being read.

use std::collections::BTreeSet;

use ingest_svc::config::Config;
use jiff::Timestamp;
use kafka::{Publisher, PublisherOptions, RecordOut, Topics};
use proto::imports::v1::ImportFileState;

use crate::harness::imports::{Importing, counters, csv, encoded};
use crate::harness::s3::S3;
use crate::harness::{http, until, wait_for};

/// A service, and a job with one file of 5,000 rows in it of which the storage gives the first half.
async fn halfway() -> (S3, Importing, control::ImportJob) {
    let s3 = S3::start().await;
    let endpoint = s3.endpoint.clone();
    let importing = Importing::start(|config: &mut Config| config.imports.endpoints = vec![endpoint]).await;
    let file = csv(0..5_000);
    s3.put("users.csv", &file);
    s3.gives_at_most(file.len() / 2);
    let job = importing.job_of_s3(&s3, |_| {}).await;
    until("a part of the file is read", || {
        importing.reading(&job).next_row > 1_000
    })
    .await;
    (s3, importing, job)
}

/// Every user came, and nobody twice.
async fn all_came_once(importing: &Importing, job: &control::ImportJob) {
    let files = importing.done(job, 1).await;
    let counted = counters(&files[0]);
    assert_eq!((counted.rows, counted.sent, counted.rejected), (5_000, 5_000, 0));
    assert_eq!(counted.bytes_read, files[0].size);
    let emails: BTreeSet<_> = importing.emails(5_000).await.into_iter().collect();
    assert_eq!(emails.len(), 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_goes_on_at_its_row_and_sends_nothing_twice() {
    let (s3, mut importing, job) = halfway().await;
    importing.restart().await;
    let left = importing.reading(&job);
    assert!(left.next_row > 1_000, "{left:?}");
    s3.gives_at_most(usize::MAX);
    all_came_once(&importing, &job).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_job_reads_nothing_and_a_resumed_one_goes_on_at_its_row() {
    let (s3, importing, job) = halfway().await;
    let (jobs, now) = (importing.service.directory.import_jobs(), Timestamp::now());
    jobs.pause(importing.account, &job.id, None, now).await.unwrap();
    importing.until(&job, 1, ImportFileState::Waiting).await;
    s3.gives_at_most(usize::MAX);
    // Another job is read meanwhile from its beginning to its end.
    importing.put("other.csv", csv(0..10));
    let other = importing.job(|_| {}).await;
    importing.done(&other, 1).await;
    assert_eq!(importing.files(&job)[0].state(), ImportFileState::Waiting);
    jobs.resume(importing.account, &job.id, None, now).await.unwrap();
    let files = importing.done(&job, 1).await;
    assert_eq!(counters(&files[0]).sent, 5_000);
    importing.service.events(importing.account, 5_010).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_job_reads_no_further() {
    let (s3, importing, job) = halfway().await;
    let jobs = importing.service.directory.import_jobs();
    jobs.kill(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    importing.until(&job, 1, ImportFileState::Waiting).await;
    s3.gives_at_most(usize::MAX);
    importing.put("other.csv", csv(0..10));
    let other = importing.job(|_| {}).await;
    importing.done(&other, 1).await;
    let left = importing.reading(&job);
    assert!(left.next_row < 5_000, "{left:?}");
    assert_eq!(importing.files(&job)[0].state(), ImportFileState::Waiting);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_word_of_a_reader_does_not_undo_that_a_file_is_read() {
    let importing = Importing::start(|_| {}).await;
    importing.put("users.csv", csv(0..10));
    let job = importing.job(|_| {}).await;
    importing.done(&job, 1).await;
    // As a reader would that was frozen in the middle of it.
    let late = importing.reading(&job);
    let record = RecordOut::new(Topics::new(&importing.service.kafka).import_progress())
        .partition(0)
        .key(importing.key_of_progress(&job))
        .payload(encoded(late, 3));
    let publisher = Publisher::new(&importing.service.kafka, PublisherOptions::default()).unwrap();
    publisher.publish(record).await.unwrap();
    until("it has come", || importing.reading(&job).next_row == 3).await;
    // Whatever is read next is read behind it.
    importing.put("more.csv", csv(10..20));
    let jobs = importing.service.directory.import_jobs();
    jobs.bounce(importing.account, &job.id, None, Timestamp::now())
        .await
        .unwrap();
    importing.done(&job, 2).await;
    importing.emails(20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_kafka_nothing_is_lost_and_it_goes_on_by_itself() {
    let (s3, importing, job) = halfway().await;
    importing.broker.down().unwrap();
    s3.gives_at_most(usize::MAX);
    let given_up = "ingest_records_total{source=\"import\",outcome=\"unacknowledged\"}";
    wait_for("a window was given up", async || {
        let metrics = http::get(importing.service.addresses.admin, "/metrics").await.body;
        metrics.contains(given_up).then_some(())
    })
    .await;
    importing.broker.up().unwrap();
    let files = importing.done(&job, 1).await;
    assert_eq!(counters(&files[0]).sent, 5_000);
    let events = crate::harness::topic::events_so_far(&importing.service.kafka, importing.account).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.event.event_id.clone()).collect();
    assert_eq!(ids.len(), 5_000, "repeats have the same ids");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_deleted_job_nothing_is_kept_and_of_another_everything() {
    let importing = Importing::start(|_| ()).await;
    importing.put("users.csv", csv(0..10));
    let (other, unreadable) = (importing.job(|_| {}).await, importing.job(|_| {}).await);
    let deleted = [importing.job(|_| {}).await, importing.job(|_| {}).await];
    for job in deleted.iter().chain([&other, &unreadable]) {
        importing.done(job, 1).await;
    }
    let kept = importing.kept(&other);
    assert!(kept >= 2 && importing.kept(&deleted[0]) == kept, "{kept}");
    importing.make_unreadable(&unreadable).await;
    let (jobs, now) = (importing.service.directory.import_jobs(), Timestamp::now());
    until("one job cannot be read", || {
        jobs.all().is_ok_and(|all| all.unreadable == [unreadable.name()])
    })
    .await;
    // One behind the other: whatever is forgotten with the first is forgotten before the second.
    for job in &deleted {
        jobs.kill(importing.account, &job.id, None, now).await.unwrap();
        jobs.delete(importing.account, &job.id, None).await.unwrap();
        until("nothing is kept of the job", || importing.kept(job) == 0).await;
    }
    for job in [&other, &unreadable] {
        assert_eq!(importing.kept(job), kept);
    }
}
