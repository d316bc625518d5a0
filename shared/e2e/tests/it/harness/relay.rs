//! Stands between one replica and the simulator, and counts what the replica sends.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// Forwards to the simulator; ends when dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    sent: Arc<AtomicU64>,
    _tasks: JoinSet<()>,
}

impl Relay {
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent: Arc<AtomicU64> = Arc::default();
        let mut tasks = JoinSet::new();
        let counter = Arc::clone(&sent);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((replica, _)) = listener.accept().await {
                connections.spawn(forward(replica, to, Arc::clone(&counter)));
            }
        });
        Self {
            address,
            sent,
            _tasks: tasks,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Bytes that the replica has sent so far.
    pub(crate) fn sent(&self) -> u64 {
        self.sent.load(Ordering::SeqCst)
    }
}

/// Both directions, until either side closes.
async fn forward(mut replica: TcpStream, to: SocketAddr, sent: Arc<AtomicU64>) {
    let Ok(mut braze) = TcpStream::connect(to).await else {
        return;
    };
    let (mut request, mut answer) = (vec![0; 16 << 10], vec![0; 16 << 10]);
    loop {
        tokio::select! {
            read = replica.read(&mut request) => match read {
                Ok(bytes @ 1..) => {
                    sent.fetch_add(bytes as u64, Ordering::SeqCst);
                    if braze.write_all(&request[..bytes]).await.is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            },
            read = braze.read(&mut answer) => match read {
                Ok(bytes @ 1..) => {
                    if replica.write_all(&answer[..bytes]).await.is_err() {
                        return;
                    }
                }
                Ok(0) | Err(_) => return,
            },
        }
    }
}
