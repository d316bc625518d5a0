//! How many connections a port may have open; a further one waits in the kernel's backlog until another closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{describe_counter, describe_gauge};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open connections, by `port`.
const OPEN: &str = "server_connections";
/// How often a port had all the connections it may have, by `port`.
const FULL_TOTAL: &str = "server_connections_full_total";

/// How long to wait after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts the connections of one port.
#[derive(Debug)]
pub(crate) struct Connections {
    port: &'static str,
    listener: TcpListener,
    slots: Arc<Semaphore>,
}

/// The place of an open connection; free again when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    port: &'static str,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// At most `max` open connections; `port` is the label of the metrics.
    pub(crate) fn new(port: &'static str, listener: TcpListener, max: usize) -> Self {
        describe_gauge!(OPEN, "Open connections, by port");
        describe_counter!(FULL_TOTAL, "How often a port had all its connections open, by port");
        Self {
            port,
            listener,
            slots: Arc::new(Semaphore::new(max)),
        }
    }

    /// Where connections are accepted.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next connection, once there is a place for it.
    pub(crate) async fn accept(&self) -> (TcpStream, Slot) {
        let port = self.port;
        let permit = match Arc::clone(&self.slots).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                metrics::counter!(FULL_TOTAL, "port" => port).increment(1);
                tracing::debug!(port, "no more connections are accepted until one closes");
                let freed = Arc::clone(&self.slots).acquire_owned().await;
                freed.expect("nobody closes the semaphore")
            }
        };
        let stream = loop {
            match self.listener.accept().await {
                Ok((stream, _)) => break stream,
                Err(error) => {
                    tracing::warn!(%error, port, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        };
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, port, "a connection was gone at once");
        }
        metrics::gauge!(OPEN, "port" => port).increment(1);
        let slot = Slot { port, _permit: permit };
        (stream, slot)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        metrics::gauge!(OPEN, "port" => self.port).decrement(1);
    }
}
