//! As much as it takes: every connection sends its next request when the last one is answered.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use shared_e2e::bench::Counts;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::requests::Requests;

/// Senders that never rest; they end with it.
pub(crate) struct Load {
    pub(crate) counts: Arc<Counts>,
    senders: JoinSet<anyhow::Result<()>>,
}

impl Load {
    /// So many connections at once.
    pub(crate) fn start(address: SocketAddr, requests: &Arc<Requests>, connections: usize) -> Self {
        let counts = Arc::<Counts>::default();
        let mut senders = JoinSet::new();
        for number in 0..connections {
            senders.spawn(send(address, Arc::clone(requests), number, Arc::clone(&counts)));
        }
        Self { counts, senders }
    }

    /// Stops sending.
    ///
    /// # Errors
    /// When a request was not answered 200.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(ended) = self.senders.try_join_next() {
            return ended.context("a sender")?;
        }
        self.senders.shutdown().await;
        Ok(())
    }
}

async fn send(address: SocketAddr, requests: Arc<Requests>, first: usize, counts: Arc<Counts>) -> anyhow::Result<()> {
    let mut connection = Connection::open(address).await?;
    for request in requests.bytes.iter().cycle().skip(first % requests.bytes.len()) {
        let status = connection.ask(request).await?;
        anyhow::ensure!(status == 200, "a request is answered {status}");
        counts.add(requests.events_each);
    }
    Ok(())
}
