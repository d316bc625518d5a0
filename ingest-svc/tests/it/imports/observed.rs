//! What is observed of import jobs, as it is shown: of a paused one, so that nobody else writes about it.

use kafka::{Change, Table, Topics};
use model::Role;
use prost::Message;
use proto::imports::v1 as wire;
use proto::imports::v1::import_progress::Progress;
use proto::imports::v1::{ImportCounters, ImportFile, ImportFileState, ImportJobState};
use tonic::Code;

use super::jobs::{Client, create, get, job, kill, pause};
use super::storages::Allowed;
use crate::harness::wait_for;

/// The name of a file, and its record, `rows` of which were read.
fn file(job: &str, number: u64, rows: u64) -> (String, Progress) {
    let file = ImportFile {
        key: format!("daily/{number}.csv"),
        size: 100,
        counters: Some(ImportCounters {
            rows,
            sent: rows,
            ..ImportCounters::default()
        }),
        ..ImportFile::default()
    };
    let progress = wire::FileProgress {
        file: Some(file),
        number,
        next_row: rows + 1,
        ..wire::FileProgress::default()
    };
    // The later in the order, the earlier in the table.
    (format!("{job}/{:032x}", 100 - number), Progress::File(progress))
}

fn done(job: &str, number: u64, rows: u64) -> (String, Progress) {
    let (key, progress) = file(job, number, rows);
    let Progress::File(progress) = progress else {
        panic!("no file")
    };
    let mut file = progress.file.unwrap();
    file.set_state(ImportFileState::Done);
    let done = wire::FileDone {
        file: Some(file),
        number,
        time: None,
    };
    (format!("{key}/done"), Progress::Done(done))
}

async fn write(allowed: &Allowed, records: Vec<(String, Progress)>) {
    let config = &allowed.service.kafka;
    let topic = Topics::new(config).import_progress();
    let table = Table::open(config, &topic, "test", "test").await.unwrap();
    let changes: Vec<_> = records
        .into_iter()
        .map(|(key, progress)| Change::Put {
            key,
            value: wire::ImportProgress {
                progress: Some(progress),
            }
            .encode_to_vec()
            .into(),
        })
        .collect();
    let written = table.mutate(move |_| Ok::<_, std::convert::Infallible>((changes.clone(), ())));
    written.await.unwrap();
}

/// A paused job, by name, and a data manager.
async fn paused(allowed: &Allowed) -> (Client, String) {
    let storage = allowed.folder(&mut allowed.storages().await, "").await.unwrap();
    let mut client = Client::new(allowed.channel(Role::DataManager).await);
    let (created, _) = create(&mut client, allowed, job("Daily", &storage.name)).await.unwrap();
    let name = created.name;
    pause(&mut client, &name, 0).await.unwrap();
    (client, name)
}

#[tokio::test]
async fn a_job_has_the_counters_of_its_files_and_these_are_listed_as_they_are_read() {
    let allowed = Allowed::start(|_| ()).await;
    let (mut client, name) = paused(&allowed).await;
    let records = vec![done(&name, 1, 10), file(&name, 2, 5), file(&name, 3, 0)];
    write(&allowed, records).await;
    let counters = wait_for("the files are known", async || {
        let counters = get(&mut client, &name).await.unwrap().counters.unwrap();
        (counters.files == 3).then_some(counters)
    })
    .await;
    assert_eq!(
        (counters.files_done, counters.rows, counters.sent, counters.bytes),
        (1, 15, 15, 300)
    );

    let mut list = async |page_token: &str, states: &[ImportFileState]| {
        let request = wire::ListImportFilesRequest {
            parent: name.clone(),
            page_size: 2,
            page_token: page_token.to_owned(),
            states: states.iter().map(|state| (*state).into()).collect(),
        };
        let listed = client.list_import_files(request).await?.into_inner();
        let keys: Vec<_> = listed.import_files.into_iter().map(|file| file.key).collect();
        Ok::<_, tonic::Status>((keys, listed.next_page_token))
    };
    let (first, next) = list("", &[]).await.unwrap();
    assert_eq!(first, ["daily/1.csv", "daily/2.csv"]);
    assert_eq!(
        list(&next, &[]).await.unwrap(),
        (vec!["daily/3.csv".to_owned()], String::new())
    );
    let waiting = [ImportFileState::Waiting];
    assert_eq!(list("", &waiting).await.unwrap().0, ["daily/2.csv", "daily/3.csv"]);
    assert_eq!(list(&next, &waiting).await.unwrap_err().code(), Code::InvalidArgument);
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn a_watcher_is_told_what_changes_until_the_job_is_killed() {
    let allowed = Allowed::start(|_| ()).await;
    let (mut client, name) = paused(&allowed).await;
    let mut observer = Client::new(allowed.channel(Role::Observer).await);
    let watch = wire::WatchImportJobRequest { name: name.clone() };
    let mut told = observer.watch_import_job(watch).await.unwrap().into_inner();
    let mut next = async || told.message().await.unwrap().map(|told| told.import_job.unwrap());
    assert_eq!(next().await.unwrap().state(), ImportJobState::Paused);
    write(&allowed, vec![file(&name, 1, 7)]).await;
    let read = |job: &wire::ImportJob| job.counters.unwrap_or_default().rows;
    while read(&next().await.unwrap()) != 7 {}
    kill(&mut client, &name).await.unwrap();
    while next().await.is_some_and(|job| job.state() != ImportJobState::Killed) {}
    assert_eq!(next().await, None, "it has ended for good");
    allowed.service.lifecycle.drain("the test is over");
}

#[tokio::test]
async fn one_watcher_too_many_is_told_so_and_may_watch_when_another_leaves() {
    let allowed = Allowed::start(|_| ()).await;
    let (client, name) = paused(&allowed).await;
    // A connection may have no more than that many calls at once either.
    let (mut one, mut another) = (client, Client::new(allowed.channel(Role::Observer).await));
    let watch = || wire::WatchImportJobRequest { name: name.clone() };
    let mut watching = Vec::new();
    for _ in 0..256 {
        let client = if watching.len() % 2 == 0 {
            &mut one
        } else {
            &mut another
        };
        let mut told = client.watch_import_job(watch()).await.unwrap().into_inner();
        assert!(told.message().await.unwrap().is_some());
        watching.push(told);
    }
    let refused = another.watch_import_job(watch()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    watching.pop();
    wait_for("the place is free", async || {
        another.watch_import_job(watch()).await.ok().map(drop)
    })
    .await;
    allowed.service.lifecycle.drain("the test is over");
}
