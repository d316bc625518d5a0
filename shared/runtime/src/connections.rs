//! How many connections a port may have open; a further one waits in the kernel's backlog until another closes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use metrics::{describe_counter, describe_gauge};
use tokio::net::{TcpListener, TcpSocket, TcpStream, ToSocketAddrs, lookup_host};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Open connections, by `port`.
const OPEN: &str = "server_connections";
/// How often a port had all the connections it may have, by `port`.
const FULL_TOTAL: &str = "server_connections_full_total";

/// How long to wait after a failed accept: out of file descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that may wait for us in the kernel, if the system allows so many (`net.core.somaxconn`). With std's 128 a burst of
/// new ones is reset while a core is busy.
const BACKLOG: u32 = 1_024;

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
    /// Binds; at most `max` connections will be open. `port` is the label of the metrics.
    ///
    /// # Errors
    /// When no address of these can be bound; the last one's error.
    pub(crate) async fn bind(port: &'static str, address: impl ToSocketAddrs, max: usize) -> io::Result<Self> {
        describe_gauge!(OPEN, "Open connections, by port");
        describe_counter!(FULL_TOTAL, "How often a port had all its connections open, by port");
        let mut bound = Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to bind"));
        for address in lookup_host(address).await? {
            bound = listen(address);
            if bound.is_ok() {
                break;
            }
        }
        Ok(Self {
            port,
            listener: bound?,
            slots: Arc::new(Semaphore::new(max)),
        })
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

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    // Or a restart would wait for the connections of the process before.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

impl Drop for Slot {
    fn drop(&mut self) {
        metrics::gauge!(OPEN, "port" => self.port).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_of_connections_waits_in_the_kernel_while_nobody_accepts() {
        let connections = Connections::bind("test", "127.0.0.1:0", 1).await.unwrap();
        let address = connections.local_addr().unwrap();
        let mut open = Vec::new();
        for number in 0..512 {
            let connect = tokio::time::timeout(Duration::from_secs(20), TcpStream::connect(address));
            open.push(
                connect
                    .await
                    .unwrap_or_else(|_| panic!("connection {number} waits"))
                    .unwrap(),
            );
        }
        let taken = Connections::bind("test", address, 1).await;
        assert_eq!(taken.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
