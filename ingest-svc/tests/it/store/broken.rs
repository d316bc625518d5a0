//! Connections that break in the middle of an object.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ingest_svc::store::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::server::{S3, SECRET};
use super::{list, open, read};

/// Bytes of the object.
const BYTES: usize = 5 << 20;

/// A relay that passes so many bytes of the server's on each connection, and then closes it.
struct Relay {
    endpoint: String,
    cuts: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Relay {
    async fn start(to: &str, bytes_max: usize) -> Self {
        let to = to.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let cuts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&cuts);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let (to, counted) = (to.clone(), Arc::clone(&counted));
                connections.spawn(async move {
                    let server = TcpStream::connect(to).await.unwrap();
                    let (mut from_client, mut to_client) = client.into_split();
                    let (from_server, mut to_server) = server.into_split();
                    let mut some = from_server.take(bytes_max as u64);
                    tokio::select! {
                        _ = tokio::io::copy(&mut from_client, &mut to_server) => {}
                        _ = tokio::io::copy(&mut some, &mut to_client) => {
                            counted.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    to_client.shutdown().await.ok();
                });
            }
        });
        Self {
            endpoint,
            cuts,
            _serving: serving,
        }
    }

    fn cuts(&self) -> usize {
        self.cuts.load(Ordering::Relaxed)
    }
}

/// An object of which no piece is as another.
fn bytes(seed: usize) -> Vec<u8> {
    (0..BYTES / 8)
        .flat_map(|number| (number + seed).to_le_bytes())
        .collect()
}

#[tokio::test]
async fn an_object_goes_on_where_its_connection_broke() {
    let s3 = S3::start().await;
    s3.put("long", bytes(0));
    let listed = list(&open(&s3.storage(), SECRET), "").await.unwrap().remove(0);
    // More often than the library tries of itself.
    let relay = Relay::start(&s3.endpoint, 400_000).await;
    let arrived = read(&open(&S3::storage_at(&relay.endpoint), SECRET), &listed)
        .await
        .unwrap();
    assert!(arrived == bytes(0), "{} bytes", arrived.len());
    assert!(relay.cuts() >= 12, "{}", relay.cuts());
}

#[tokio::test]
async fn an_object_that_changes_while_its_connection_is_broken_does_not_go_on_as_another() {
    let s3 = S3::start().await;
    s3.put("long", bytes(0));
    let listed = list(&open(&s3.storage(), SECRET), "").await.unwrap().remove(0);
    let relay = Relay::start(&s3.endpoint, 1_200_000).await;
    let store = open(&S3::storage_at(&relay.endpoint), SECRET);
    let mut body = store.read(&listed.key, &listed.etag).await.unwrap();
    let mut first = vec![0; 100];
    body.read_exact(&mut first).await.unwrap();
    s3.put("long", bytes(1));
    let error = body.read_to_end(&mut Vec::new()).await.unwrap_err();
    assert_eq!(Error::of(&error), Some(&Error::Changed("long".to_owned())));
}

#[tokio::test]
async fn connections_that_always_break_are_tried_so_often_and_no_more() {
    let s3 = S3::start().await;
    s3.put("long", bytes(0));
    let listed = list(&open(&s3.storage(), SECRET), "").await.unwrap().remove(0);
    // The head of the answer, and next to nothing behind it.
    let relay = Relay::start(&s3.endpoint, 600).await;
    let error = read(&open(&S3::storage_at(&relay.endpoint), SECRET), &listed)
        .await
        .unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert!(relay.cuts() <= 40, "{}", relay.cuts());
}
