//! A Braze that takes everything and looks at nothing: whoever is measured must not wait for it. It answers as Braze does, and
//! counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use shared_e2e::bench::{Counts, http};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A simulated Braze for measurements of others.
pub(crate) struct Sink {
    address: SocketAddr,
    counts: Arc<Counts>,
    // Ends with the sink.
    _serving: JoinSet<()>,
}

impl Sink {
    /// Answers every call after `latency`.
    ///
    /// # Errors
    /// When it cannot listen.
    pub(crate) async fn start(latency: Duration) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let counts = Arc::clone(&counted);
                connections.spawn(async move { drop(connection(stream, &counts, latency).await) });
            }
        });
        Ok(Self {
            address,
            counts,
            _serving: serving,
        })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What has come: calls, and updates (objects) in them.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Updates so far.
    pub(crate) fn updates(&self) -> u64 {
        self.counts.items()
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.counts.calls()
    }
}

async fn connection(mut stream: TcpStream, counts: &Counts, latency: Duration) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let message = http::read(&mut stream, &mut buffer).await?;
        // Every object of ours opens two brackets, and the body one.
        let brackets = buffer[message.body()].iter().filter(|byte| **byte == b'{').count();
        let updates = brackets.saturating_sub(1) / 2;
        buffer.drain(..message.end);
        counts.add(updates as u64);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let said = format!(r#"{{"message":"success","attributes_processed":{updates}}}"#);
        let answer = format!(
            "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{said}",
            said.len()
        );
        stream.write_all(answer.as_bytes()).await?;
    }
}
