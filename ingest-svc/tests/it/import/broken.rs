//! Uploads over connections that break, and by people who give up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{are_read, file, import, keeper, keeper_with, large};
use crate::harness::imports::Importing;
use crate::harness::process::command;
use crate::harness::{DEADLINE, http};

/// What becomes of a connection that has brought as many bytes as it may.
#[derive(Clone, Copy)]
enum Then {
    Closed,
    /// Nothing is passed on any more.
    Still,
}

/// A relay to the service, which lets each connection in turn bring so many bytes; those behind are as they come.
struct Relay {
    address: SocketAddr,
    /// Connections that have brought as many as they might.
    reached: watch::Receiver<usize>,
    /// How often all connections were cut.
    cuts: watch::Sender<usize>,
    _serving: JoinSet<()>,
}

impl Relay {
    async fn start(to: SocketAddr, may_bring: impl Into<VecDeque<usize>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let may_bring = Arc::new(Mutex::new(may_bring.into()));
        let (told, reached) = watch::channel(0);
        let (cuts, cut) = watch::channel(0);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let most = may_bring.lock().unwrap().pop_front().unwrap_or(usize::MAX);
                // It has seen every cut so far.
                let mut cut = cut.clone();
                cut.mark_unchanged();
                let passed = pass(client, to, most, then, told.clone());
                connections.spawn(async move {
                    tokio::select! {
                        () = passed => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self {
            address,
            reached,
            cuts,
            _serving: serving,
        }
    }

    /// Cuts the connections that there are.
    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// The next line that contains this.
async fn line(lines: &mut Lines<impl AsyncBufRead + Unpin>, wanted: &str) -> String {
    let read = async {
        let mut read = Vec::new();
        loop {
            match lines.next_line().await.unwrap() {
                Some(line) if line.contains(wanted) => return line,
                Some(line) => read.push(line),
                None => panic!("no line has {wanted}: {read:?}"),
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect(wanted)
}

async fn pass(client: TcpStream, to: SocketAddr, most: usize, then: Then, told: watch::Sender<usize>) {
    let server = TcpStream::connect(to).await.unwrap();
    let (from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut some = from_client.take(most as u64);
    let brought = async {
        // Either side may leave as it likes.
        let copied = tokio::io::copy(&mut some, &mut to_server).await.unwrap_or_default();
        if copied < most as u64 {
            to_server.shutdown().await.ok();
            return std::future::pending().await;
        }
        told.send_modify(|count| *count += 1);
        if matches!(then, Then::Still) {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = brought => {}
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
    }
}

#[tokio::test]
async fn an_upload_whose_connections_break_goes_on_behind_what_arrived() {
    let (_broker, _folder, service, account, token) = keeper().await;
    // The head of the request that creates it, and the first piece, each time a part of it.
    let relay = Relay::start(service.addresses.http, [3_000_000, 2_000_000, 4_000_000], Then::Closed).await;
    let file = file(&large());
    let arguments = format!(
        "csv {} --account {account} --stream braze_users --no-watch --url http://{}",
        file.path().display(),
        relay.address
    );
    let output = tokio::time::timeout(DEADLINE, import(&service, &token, &arguments).output()).await;
    let output = output.unwrap().unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{err}");
    assert_eq!(*relay.reached.borrow(), 3);
    assert!(err.contains("waiting: "), "{err}");
    are_read(&service, account, 100).await;
}

#[tokio::test]
async fn whoever_interrupts_an_upload_is_told_how_to_go_on_with_it() {
    let (_broker, _folder, service, account, token) = keeper().await;
    let mut relay = Relay::start(service.addresses.http, [3_000_000], Then::Still).await;
    let file = file(&large());
    let arguments = format!(
        "csv {} --account {account} --stream braze_users --no-watch",
        file.path().display()
    );
    let child = import(&service, &token, &format!("{arguments} --url http://{}", relay.address))
        .spawn()
        .unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    let reached = tokio::time::timeout(DEADLINE, relay.reached.wait_for(|count| *count == 1)).await;
    drop(reached.unwrap().unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    let output = tokio::time::timeout(DEADLINE, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let err = String::from_utf8(output.stderr).unwrap();
    let (_, address) = err.split_once("interrupted\ngo on with --resume ").expect(&err);
    assert!(!output.status.success());
    let again = import(&service, &token, &format!("{arguments} --resume {}", address.trim())).output();
    let again = tokio::time::timeout(DEADLINE, again).await.unwrap().unwrap();
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
    are_read(&service, account, 100).await;
}

#[tokio::test]
async fn a_service_that_has_no_place_now_is_asked_again() {
    let (_broker, _folder, service, account, token) = keeper_with(|config| config.imports.uploads_max = 1).await;
    let (text, service_http) = (large(), service.addresses.http);
    let path = format!("/files/{account}/braze_users");
    let authorization = format!("authorization: Bearer {token}");
    let begin = async |length: usize| {
        let length = format!("upload-length: {length}");
        let headers = [&*authorization, "tus-resumable: 1.0.0", &*length];
        let created = http::send(service_http, "POST", &path, &headers, b"").await;
        created.header("location").unwrap().to_owned()
    };
    let (ours, others) = (begin(text.len()).await, begin(4).await);
    // The other's piece takes the only place: its body is asked for, and does not come.
    let mut other = http::Connection::open(service_http).await;
    other
        .write(format!(
            "PATCH {others} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{authorization}\r\ntus-resumable: 1.0.0\r\n\
             content-type: application/offset+octet-stream\r\nupload-offset: 0\r\ncontent-length: 4\r\n\
             expect: 100-continue\r\n\r\n"
        ))
        .await;
    other.continues().await;
    let file = file(&text);
    let arguments = format!(
        "csv {} --account {account} --stream braze_users --no-watch --resume http://{service_http}{ours}",
        file.path().display()
    );
    let mut child = import(&service, &token, &arguments).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    line(&mut said, "waiting: 503").await;
    other.write("a\nb\n").await;
    assert_eq!(other.answer().await.status, 204);
    let status = tokio::time::timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
    assert!(status.success());
    are_read(&service, account, 100).await;
}

#[tokio::test]
async fn a_job_is_followed_on_when_the_connection_is_lost() {
    let importing = Importing::start(|_| ()).await;
    let (service, account) = (&importing.service, importing.account);
    let job = importing.job(|_| ()).await;
    let (jobs, now) = (service.directory.import_jobs(), jiff::Timestamp::now());
    jobs.pause(account, &job.id, None, now).await.unwrap();
    let relay = Relay::start(service.addresses.grpc, [], Then::Closed).await;
    let token = service.token(account, model::Role::Observer, None).await;
    let mut child = command()
        .args(["imports", "watch", &job.name()])
        .env("INGEST_SVC_ENDPOINT", format!("http://{}", relay.address))
        .env("LYTICS_TOKEN", token)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
    line(&mut told, "paused").await;
    relay.cut();
    line(&mut said, "waiting: ").await;
    importing.put("one.csv", crate::harness::imports::csv(0..3));
    jobs.resume(account, &job.id, None, now).await.unwrap();
    // It may have looked before the file was there.
    jobs.bounce(account, &job.id, None, now).await.unwrap();
    let line = line(&mut told, "completed").await;
    assert!(line.contains("rows 3"), "{line}");
    let status = tokio::time::timeout(DEADLINE, child.wait()).await.unwrap().unwrap();
    assert!(status.success());
}
