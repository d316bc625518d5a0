//! Every storage that tests can have, and every form of files.

use std::collections::BTreeSet;

use apache_avro::types::Record;
use apache_avro::{Schema, Writer};
use ingest_svc::config::Config;

use crate::harness::imports::{Importing, counters, csv};
use crate::harness::s3::S3;
use crate::harness::until;

fn ndjson(numbers: std::ops::Range<usize>) -> String {
    let line = |number| format!("{{\"braze_id\":\"b-{number}\",\"email\":\"user-{number}@example.com\"}}\n");
    numbers.map(line).collect()
}

fn avro(numbers: std::ops::Range<usize>) -> Vec<u8> {
    let schema = r#"{"type":"record","name":"user","fields":[{"name":"braze_id","type":"string"},{"name":"email","type":"string"}]}"#;
    let schema = Schema::parse_str(schema).unwrap();
    let mut writer = Writer::new(&schema, Vec::new());
    for number in numbers {
        let mut record = Record::new(&schema).unwrap();
        record.put("braze_id", format!("b-{number}"));
        record.put("email", format!("user-{number}@example.com"));
        writer.append(record).unwrap();
    }
    writer.into_inner().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_form_in_a_bucket_are_read_to_their_ends() {
    let s3 = S3::start().await;
    let endpoint = s3.endpoint.clone();
    let importing = Importing::start(|config: &mut Config| config.imports.endpoints = vec![endpoint]).await;
    s3.put("in/1.csv", csv(0..1_200));
    s3.put("in/2.ndjson", ndjson(1_200..1_300));
    s3.put("in/3.avro", avro(1_300..1_400));
    s3.put("other/4.csv", csv(1_400..1_500));
    let job = importing
        .job_of_s3(&s3, |new| {
            let control::ImportSource::Storage(files) = &mut new.source else {
                unreachable!()
            };
            "in/".clone_into(&mut files.prefix);
        })
        .await;
    let files = importing.done(&job, 3).await;
    let sent: Vec<_> = files.iter().map(|file| counters(file).sent).collect();
    assert_eq!(sent.iter().sum::<u64>(), 1_400, "{sent:?}");
    let emails: BTreeSet<_> = importing.emails(1_400).await.into_iter().collect();
    assert_eq!(emails.len(), 1_400);
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_files_are_read_at_once_as_there_may_be() {
    let s3 = S3::start().await;
    let endpoint = s3.endpoint.clone();
    let importing = Importing::start(|config: &mut Config| {
        config.imports.endpoints = vec![endpoint];
        config.imports.files_max = 2;
    });
    let importing = importing.await;
    for number in 0..4 {
        s3.put(&format!("{number}.csv"), csv(0..5_000));
    }
    // Each stands still within itself.
    s3.gives_at_most(csv(0..5_000).len() / 2);
    let job = importing.job_of_s3(&s3, |_| {}).await;
    importing
        .until(&job, 2, proto::imports::v1::ImportFileState::Reading)
        .await;
    let states: Vec<_> = importing.files(&job).iter().map(|file| file.state()).collect();
    let reading = states
        .iter()
        .filter(|state| **state == proto::imports::v1::ImportFileState::Reading);
    assert_eq!((reading.count(), states.len()), (2, 4));
    s3.gives_at_most(usize::MAX);
    importing.done(&job, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uploaded_file_is_read_when_all_of_it_has_arrived() {
    let kept = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let url = format!("file://{}", kept.path().canonicalize().unwrap().display());
    let importing = Importing::start(|config: &mut Config| config.imports.upload_url = Some(url)).await;
    let (file, account) = (csv(0..100), importing.account);
    let (first, second) = file.split_at(file.len() / 2);
    // A part is called by the offset of its first byte.
    let folder = kept.path().join(account.to_string()).join("u-1");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{:020}", 0)), first).unwrap();
    let job = importing.job(|new| {
        new.source = control::ImportSource::Upload(control::UploadedFile {
            upload: "u-1".to_owned(),
            file_name: "users.csv".to_owned(),
            size: file.len() as u64,
        });
    });
    let job = job.await;
    until("it waits", || {
        importing.coordinated(&job).reason.contains("waits for the rest")
    })
    .await;
    assert_eq!(importing.files(&job), []);
    std::fs::write(folder.join(format!("{:020}", first.len())), second).unwrap();
    let files = importing.done(&job, 1).await;
    assert_eq!((files[0].key.as_str(), counters(&files[0]).sent), ("users.csv", 100));
    importing.emails(100).await;
}
