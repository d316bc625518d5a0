//! A Braze that takes everything and looks at nothing: whoever is measured must not wait for it. It answers as Braze does, and
//! counts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// A simulated Braze for measurements of others.
pub(crate) struct Sink {
    address: SocketAddr,
    counts: Arc<Counts>,
    // Ends with the sink.
    _serving: JoinSet<()>,
}

#[derive(Default)]
struct Counts {
    calls: AtomicU64,
    updates: AtomicU64,
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

    /// Updates (objects) so far.
    pub(crate) fn updates(&self) -> u64 {
        self.counts.updates.load(Ordering::Relaxed)
    }

    /// Calls so far.
    pub(crate) fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }
}

async fn connection(mut stream: TcpStream, counts: &Counts, latency: Duration) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(64 << 10);
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "closed");
        };
        let length = length(&buffer[..head])?;
        while buffer.len() < head + length {
            anyhow::ensure!(stream.read_buf(&mut buffer).await? > 0, "closed");
        }
        // Every object of ours opens two brackets, and the body one.
        let brackets = buffer[head..head + length].iter().filter(|byte| **byte == b'{').count();
        let updates = brackets.saturating_sub(1) / 2;
        buffer.drain(..head + length);
        counts.calls.fetch_add(1, Ordering::Relaxed);
        counts.updates.fetch_add(updates as u64, Ordering::Relaxed);
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

fn length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = headers
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("a call without a length")?;
    Ok(length.trim().parse()?)
}
