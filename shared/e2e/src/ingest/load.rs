//! As much as it takes: every connection sends its next request when the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::bench::Counts;
use anyhow::Context as _;
use tokio::task::JoinSet;

use super::connection::{self, Connection};
use super::requests::Requests;

/// Senders that never rest; they end with it.
pub struct Load {
    pub counts: Arc<Counts>,
    senders: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// So many connections at once.
    ///
    /// # Errors
    /// As [`connection::open`].
    pub async fn start(address: SocketAddr, requests: &Arc<Requests>, connections: usize) -> anyhow::Result<Self> {
        let counts = Arc::<Counts>::default();
        let mut senders = JoinSet::new();
        let open = connection::open(address, requests, connections).await?;
        for (number, connection) in open.into_iter().enumerate() {
            senders.spawn(send(connection, Arc::clone(requests), number, Arc::clone(&counts)));
        }
        Ok(Self { counts, senders })
    }

    /// Stops sending.
    ///
    /// # Errors
    /// When a request was not answered 200.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(ended) = self.senders.try_join_next() {
            return ended.context("a sender")?;
        }
        self.senders.shutdown().await;
        Ok(())
    }
}

async fn send(
    mut connection: Connection,
    requests: Arc<Requests>,
    first: usize,
    counts: Arc<Counts>,
) -> anyhow::Result<()> {
    for request in requests.bytes.iter().cycle().skip(first % requests.bytes.len()) {
        let status = connection.ask(request).await?;
        anyhow::ensure!(status == 200, "a request is answered {status}");
        counts.add(requests.events_each);
    }
    Ok(())
}
