//! Uploads over connections that break, and by people who give up.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{are_read, file, import, keeper, large};
use crate::harness::DEADLINE;

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
    _serving: JoinSet<()>,
}

impl Relay {
    async fn start(to: SocketAddr, may_bring: impl Into<VecDeque<usize>>, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let may_bring = Arc::new(Mutex::new(may_bring.into()));
        let (told, reached) = watch::channel(0);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let most = may_bring.lock().unwrap().pop_front().unwrap_or(usize::MAX);
                connections.spawn(pass(client, to, most, then, told.clone()));
            }
        });
        Self {
            address,
            reached,
            _serving: serving,
        }
    }
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
