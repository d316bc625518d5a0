//! Files that are uploaded in pieces, by the tus protocol.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use control::{ImportJob, ImportSource};
use ingest_svc::uploads::{PART_BYTES, SIZE_MAX, Uploads};
use kafka::testing::InProcessBroker;
use model::{AccountNumber, Role, name};
use tempfile::TempDir;
use tokio::io::AsyncReadExt;

use crate::harness::http::{self, Answer, Connection};
use crate::harness::{self, ADMIN_TOKEN, Service, config, shared, wait_for};
use crate::process::{process, reports, until_accepted};
use crate::store::server::{KEY_ID, S3, SECRET};

const PIECE: &str = "content-type: application/offset+octet-stream";
const VERSION: &str = "tus-resumable: 1.0.0";

/// Replicas that keep uploads in one folder.
struct Replicas {
    _broker: InProcessBroker,
    folder: TempDir,
    services: Vec<Service>,
    account: AccountNumber,
    token: String,
}

impl Replicas {
    async fn start(count: usize, change: impl Fn(&mut ingest_svc::config::Config)) -> Self {
        let folder = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let broker = InProcessBroker::start(1, &[]).unwrap();
        let mut services = Vec::new();
        for _ in 0..count {
            let mut config = config(&broker.config());
            config.imports.upload_url = Some(url(folder.path()));
            change(&mut config);
            services.push(Service::start(config).await);
        }
        let (account, token) = services[0].sender().await;
        Self {
            _broker: broker,
            folder,
            services,
            account,
            token,
        }
    }

    async fn send(&self, replica: usize, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
        let token = format!("authorization: Bearer {}", self.token);
        let headers: Vec<_> = headers.iter().copied().chain([VERSION, &*token]).collect();
        http::send(self.services[replica].addresses.http, method, path, &headers, body).await
    }

    /// Begins an upload; its address, and the name of its job.
    async fn create(&self, size: u64) -> (String, String) {
        let length = format!("upload-length: {size}");
        let path = format!("/files/{}/customers", self.account);
        let created = self.send(0, "POST", &path, &[&length], b"").await;
        assert_eq!(created.status, 201, "{}", created.body);
        let header = |name| created.header(name).unwrap().to_owned();
        (header("location"), header("import-job"))
    }

    async fn append(&self, replica: usize, path: &str, offset: u64, bytes: impl AsRef<[u8]>) -> Answer {
        let offset = format!("upload-offset: {offset}");
        self.send(replica, "PATCH", path, &[PIECE, &offset], bytes.as_ref())
            .await
    }

    /// A piece whose bytes are still to come.
    async fn begin(&self, path: &str, offset: u64, bytes: usize) -> Connection {
        self.begin_with(path, offset, bytes, "").await
    }

    /// With more lines in its head.
    async fn begin_with(&self, path: &str, offset: u64, bytes: usize, more: &str) -> Connection {
        let token = &self.token;
        let mut connection = Connection::open(self.services[0].addresses.http).await;
        let head = format!(
            "PATCH {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{VERSION}\r\n{PIECE}\r\nupload-offset: {offset}\r\n\
             content-length: {bytes}\r\nauthorization: {token}\r\n{more}\r\n"
        );
        connection.write(head).await;
        connection
    }

    /// A piece of so many bytes of which four have come, and which is known to take the only place that there is.
    async fn alone(&self, path: &str, bytes: usize) -> Connection {
        let mut begun = wait_for("the piece takes the place", async || {
            let begun = self.begin_with(path, 0, bytes, "expect: 100-continue\r\n").await;
            self.is_taken(path).await.then_some(begun)
        })
        .await;
        // It is told to go on when its body is being waited for.
        begun.continues().await;
        begun.write("0123").await;
        // What is written first is read first.
        for _ in 0..3 {
            assert!(self.is_taken(path).await);
        }
        begun
    }

    async fn is_taken(&self, path: &str) -> bool {
        let answer = self.send(0, "HEAD", path, &[], b"").await;
        answer.status == 503 && answer.header("retry-after").is_some()
    }

    /// How far it is, by another replica if there is one.
    async fn offset(&self, path: &str) -> u64 {
        let head = self.send(self.services.len() - 1, "HEAD", path, &[], b"").await;
        assert_eq!((head.status, head.header("cache-control")), (200, Some("no-store")));
        offset(&head).unwrap()
    }

    async fn arrived(&self, path: &str) -> String {
        let uploads = Uploads::open(&url(self.folder.path())).unwrap();
        let mut text = String::new();
        let mut body = uploads.read(self.account, id(path)).await.unwrap();
        body.read_to_string(&mut text).await.unwrap();
        text
    }

    fn job(&self, path: &str) -> Option<ImportJob> {
        self.services[0]
            .directory
            .import_jobs()
            .get(self.account, id(path))
            .ok()
    }

    /// The sizes of the parts, in their order.
    fn parts(&self, path: &str) -> Vec<u64> {
        let folder: PathBuf = self.folder.path().join(self.account.to_string()).join(id(path));
        let mut parts: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        parts.sort();
        parts.iter().map(|part| part.metadata().unwrap().len()).collect()
    }
}

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

/// Of an upload, by its address.
fn id(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

fn offset(answer: &Answer) -> Option<u64> {
    answer.header("upload-offset")?.parse().ok()
}

#[tokio::test]
async fn a_file_arrives_in_pieces_at_any_replica_and_is_an_import_job() {
    let replicas = Replicas::start(2, |_| {}).await;
    let word = |word: &str| BASE64_STANDARD.encode(word);
    let said = format!(
        "upload-metadata: filename {},format {},delimiter {},label {}",
        word("José.csv"),
        word("csv"),
        word(";"),
        word("January")
    );
    let path = format!("/files/{}/my%20stream", replicas.account);
    let created = replicas.send(0, "POST", &path, &["upload-length: 9", &said], b"").await;
    assert_eq!((created.status, created.header("tus-resumable")), (201, Some("1.0.0")));
    let upload = created.header("location").unwrap();
    assert!(upload.starts_with(&path), "{upload}");
    assert_eq!(replicas.offset(upload).await, 0);
    let answer = replicas.append(0, upload, 0, "id\n1").await;
    assert_eq!((answer.status, offset(&answer)), (204, Some(4)));
    let answer = replicas.append(1, upload, 4, "\n222\n").await;
    assert_eq!((answer.status, offset(&answer)), (204, Some(9)));
    assert_eq!(
        (replicas.offset(upload).await, replicas.arrived(upload).await),
        (9, "id\n1\n222\n".to_owned())
    );
    let job = wait_for("the job is known", async || replicas.job(upload)).await;
    assert_eq!(created.header("import-job"), Some(&*job.name()));
    assert_eq!(
        (&*job.label, &*job.stream, job.format.delimiter),
        ("January", "my stream", Some(b';'))
    );
    let ImportSource::Upload(file) = job.source else {
        panic!("{:?}", job.source)
    };
    assert_eq!(
        (&*file.upload, &*file.file_name, file.size),
        (id(upload), "José.csv", 9)
    );
}

#[tokio::test]
async fn what_had_arrived_when_the_connection_broke_is_kept_and_the_rest_goes_on_elsewhere() {
    let replicas = Replicas::start(2, |_| {}).await;
    let (upload, _) = replicas.create(10).await;
    let mut broken = replicas.begin(&upload, 0, 10).await;
    broken.write("0123").await;
    broken.end().await;
    let answer = broken.answer().await;
    assert_eq!((answer.status, offset(&answer)), (408, Some(4)));
    // Nobody to be answered.
    let mut gone = replicas.begin(&upload, 4, 6).await;
    gone.write("45").await;
    gone.0.set_zero_linger().unwrap();
    drop(gone);
    wait_for("what arrived is kept", async || {
        (replicas.offset(&upload).await == 6).then_some(())
    })
    .await;
    assert_eq!(replicas.append(1, &upload, 6, "6789").await.status, 204);
    assert_eq!(replicas.arrived(&upload).await, "0123456789");
}

#[tokio::test]
async fn of_two_at_the_same_offset_one_is_told_where_the_upload_stands() {
    let replicas = Replicas::start(1, |_| {}).await;
    let (upload, _) = replicas.create(8).await;
    let mut one = replicas.begin(&upload, 0, 4).await;
    let mut other = replicas.begin(&upload, 0, 8).await;
    one.write("aaa").await;
    other.write("bbb").await;
    one.write("a").await;
    let one = one.answer().await;
    assert_eq!((one.status, offset(&one)), (204, Some(4)));
    other.write("bbbbb").await;
    let other = other.answer().await;
    assert_eq!((other.status, offset(&other)), (409, Some(4)));
    assert!(other.refusal(409).contains("stands at 4"));
    let early = replicas.append(0, &upload, 8, "").await;
    assert_eq!((early.status, offset(&early)), (409, Some(4)));
    assert_eq!(replicas.arrived(&upload).await, "aaaa");
}

#[tokio::test]
async fn a_long_piece_is_kept_in_parts_of_at_most_8_mib() {
    let replicas = Replicas::start(1, |_| {}).await;
    let bytes = vec![b'x'; 2 * PART_BYTES + 5];
    let (upload, _) = replicas.create(bytes.len() as u64).await;
    assert_eq!(replicas.append(0, &upload, 0, &bytes).await.status, 204);
    assert_eq!(replicas.parts(&upload), [PART_BYTES as u64, PART_BYTES as u64, 5]);
    assert_eq!(replicas.offset(&upload).await, bytes.len() as u64);
}

#[tokio::test]
async fn a_sender_that_pauses_for_too_long_is_told_to_go_on_behind_what_arrived() {
    let change =
        |config: &mut ingest_svc::config::Config| config.http.body_timeout = std::time::Duration::from_millis(200);
    let replicas = Replicas::start(1, change).await;
    let (upload, _) = replicas.create(10).await;
    let mut slow = replicas.begin(&upload, 0, 10).await;
    slow.write("012").await;
    let answer = slow.answer().await;
    assert_eq!((answer.status, offset(&answer)), (408, Some(3)));
}

#[tokio::test]
async fn a_drain_keeps_what_has_arrived() {
    let replicas = Replicas::start(1, |config| config.imports.uploads_max = 1).await;
    let (upload, _) = replicas.create(10).await;
    let begun = replicas.alone(&upload, 10).await;
    replicas.services[0].lifecycle.drain("the test");
    let answer = begun.answer().await;
    assert_eq!((answer.status, offset(&answer)), (503, Some(4)));
    assert!(answer.header("retry-after").is_some());
    assert_eq!(replicas.arrived(&upload).await, "0123");
}

#[tokio::test]
async fn uploads_have_places_of_their_own_and_one_more_is_503() {
    let replicas = Replicas::start(1, |config| config.imports.uploads_max = 1).await;
    let (upload, _) = replicas.create(10).await;
    let mut first = replicas.alone(&upload, 6).await;
    let webhook = format!("/c/{}/braze_users?key={}", replicas.account, replicas.token);
    assert_eq!(replicas.services[0].post(&webhook, "[]").await.status, 200);
    first.write("45").await;
    assert_eq!(first.answer().await.status, 204);
    assert_eq!(replicas.offset(&upload).await, 6);
}

/// On a real server of S3's protocol, whose address and key the process has from its environment.
#[tokio::test]
async fn parts_are_kept_in_s3_and_of_two_at_one_offset_the_first_stays() {
    let s3 = S3::start().await;
    let environment = [
        ("INGEST_SVC__IMPORTS__UPLOAD_URL", "s3://files/kept"),
        ("AWS_ACCESS_KEY_ID", KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ENDPOINT_URL", &*s3.endpoint),
    ];
    let (_brokers, _kafka, process) = process(&environment).await;
    until_accepted(&process, &format!("/c/1234/braze_users?key={ADMIN_TOKEN}")).await;
    let send = async |method: &str, path: &str, headers: &[&str], body: &str| {
        let headers: Vec<_> = headers.iter().copied().chain([VERSION]).collect();
        http::send(
            process.http,
            method,
            &format!("{path}?key={ADMIN_TOKEN}"),
            &headers,
            body.as_bytes(),
        )
        .await
    };
    let created = send("POST", "/files/1234/customers", &["upload-length: 8"], "").await;
    assert_eq!(created.status, 201, "{} {}", created.body, process.log());
    let upload = created.header("location").unwrap();
    let appended = send("PATCH", upload, &[PIECE, "upload-offset: 0"], "abcd").await;
    assert_eq!(
        (appended.status, offset(&appended)),
        (204, Some(4)),
        "{}",
        process.log()
    );
    let part = format!("kept/1234/{}/{:020}", id(upload), 0);
    assert_eq!(std::fs::read_to_string(s3.path(&part)).unwrap(), "abcd");
    // Another replica was faster, after this one had looked.
    let mut late = Connection::open(process.http).await;
    let head = format!(
        "PATCH {upload}?key={ADMIN_TOKEN} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{VERSION}\r\n{PIECE}\r\nupload-offset: 4\r\n\
         content-length: 4\r\n\r\nxx"
    );
    late.write(head).await;
    reports(&process, "ingest_uploads_in_progress 1\n").await;
    s3.put(&format!("kept/1234/{}/{:020}", id(upload), 4), "efg");
    late.write("xx").await;
    let late = late.answer().await;
    assert_eq!((late.status, offset(&late)), (409, Some(7)));
    let head = send("HEAD", upload, &[], "").await;
    assert_eq!((head.status, offset(&head)), (200, Some(7)));
    assert_eq!(send("DELETE", upload, &[], "").await.status, 204);
    assert!(!s3.path(&part).exists());
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_its_status_and_changes_nothing() {
    let replicas = Replicas::start(1, |_| {}).await;
    let (upload, job) = replicas.create(4).await;
    let files = format!("/files/{}/customers", replicas.account);
    let other = upload.replace("customers", "others");
    let too_long = format!("upload-length: {}", SIZE_MAX + 1);
    let zero = "upload-offset: 0";
    for (status, method, path, headers, body) in [
        (400, "POST", &*files, &[][..], ""),
        (
            400,
            "POST",
            &files,
            &["upload-length: 1", "upload-metadata: format eA=="],
            "",
        ),
        (413, "POST", &files, &[&*too_long], ""),
        (415, "PATCH", &upload, &[zero, "content-type: text/csv"], "ab"),
        (400, "PATCH", &upload, &[PIECE], "ab"),
        (409, "PATCH", &upload, &[PIECE, "upload-offset: 2"], "ab"),
        (413, "PATCH", &upload, &[PIECE, zero], "abcde"),
        (404, "PATCH", &other, &[PIECE, zero], "ab"),
        (405, "PUT", &upload, &[], "ab"),
        (405, "PATCH", &files, &[], "ab"),
        (404, "HEAD", "/files/999999/customers/none", &[], ""),
    ] {
        let answer = replicas.send(0, method, path, headers, body.as_bytes()).await;
        assert_eq!(answer.status, status, "{method} {path} {headers:?}: {}", answer.body);
        assert_eq!(answer.header("tus-resumable"), Some("1.0.0"));
    }
    let path = format!("{upload}?key={}", replicas.token);
    let address = replicas.services[0].addresses.http;
    let unversioned = http::send(address, "PATCH", &path, &[PIECE, zero], b"ab").await;
    assert_eq!(
        (unversioned.status, unversioned.header("tus-version")),
        (412, Some("1.0.0"))
    );
    assert_eq!(replicas.offset(&upload).await, 0);
    assert_eq!(name::child(&job, name::IMPORT_JOBS).unwrap().1, id(&upload));
}

#[tokio::test]
async fn only_whoever_may_send_data_to_the_account_may_upload() {
    let replicas = Replicas::start(1, |_| {}).await;
    let (upload, _) = replicas.create(4).await;
    let service = &replicas.services[0];
    let observer = service.token(replicas.account, Role::Observer, None).await;
    let (_, stranger) = service.sender().await;
    let append = async |token: &str| {
        let headers = [VERSION, PIECE, "upload-offset: 0"];
        let answer = http::send(
            service.addresses.http,
            "PATCH",
            &format!("{upload}?key={token}"),
            &headers,
            b"ab",
        )
        .await;
        answer.status
    };
    assert_eq!((append("").await, append("wrong").await), (401, 401));
    assert_eq!((append(&observer).await, append(&stranger).await), (403, 403));
    assert_eq!(replicas.offset(&upload).await, 0);
    let writer = service.token(replicas.account, Role::DataWrite, None).await;
    assert_eq!(append(&writer).await, 204);
}

#[tokio::test]
async fn an_upload_that_is_ended_is_gone_with_its_job() {
    let replicas = Replicas::start(1, |_| {}).await;
    let (upload, _) = replicas.create(4).await;
    replicas.append(0, &upload, 0, "ab").await;
    // Some clients can say no more than POST.
    let ended = replicas
        .send(0, "POST", &upload, &["x-http-method-override: DELETE"], b"")
        .await;
    assert_eq!(ended.status, 204);
    assert_eq!(replicas.send(0, "HEAD", &upload, &[], b"").await.status, 404);
    harness::until("the job is gone", || replicas.job(&upload).is_none()).await;
    assert_eq!(replicas.parts(&upload), [0], "nothing but the mark");
}

#[tokio::test]
async fn an_upload_that_was_read_is_gone_for_whoever_would_go_on() {
    let replicas = Replicas::start(1, |_| {}).await;
    let (upload, _) = replicas.create(4).await;
    replicas.append(0, &upload, 0, "abcd").await;
    let uploads = Uploads::open(&url(replicas.folder.path())).unwrap();
    uploads.remove(replicas.account, id(&upload)).await.unwrap();
    assert_eq!(replicas.send(0, "HEAD", &upload, &[], b"").await.status, 410);
    assert_eq!(replicas.append(0, &upload, 0, "ab").await.status, 410);
}

#[tokio::test]
async fn without_a_place_for_files_the_setting_is_named_and_options_need_no_token() {
    let service = shared().await;
    let (account, token) = service.sender().await;
    let path = format!("/files/{account}/customers?key={token}");
    let refused = http::send(
        service.addresses.http,
        "POST",
        &path,
        &[VERSION, "upload-length: 1"],
        b"",
    )
    .await;
    assert!(refused.refusal(501).contains("imports.upload_url"), "{}", refused.body);
    let options = http::send(service.addresses.http, "OPTIONS", "/files/1/x", &[], b"").await;
    assert_eq!((options.status, options.header("tus-version")), (204, Some("1.0.0")));
    assert_eq!(options.header("tus-extension"), Some("creation,termination"));
    assert_eq!(options.header("tus-max-size"), Some(&*SIZE_MAX.to_string()));
}
