//! Connections to whoever is measured.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::bench::http;
use anyhow::Context as _;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::requests::Requests;

/// Connections that are opened at once: fewer than the system keeps for a listener that does not come to accept them, 128.
const AT_ONCE: usize = 64;

/// Opens so many connections, each with a request that is answered: it is accepted then.
///
/// # Errors
/// When nobody listens, or an answer is not 200.
pub async fn open(address: SocketAddr, requests: &Arc<Requests>, count: usize) -> anyhow::Result<Vec<Connection>> {
    let mut open = Vec::with_capacity(count);
    while open.len() < count {
        let mut opening = JoinSet::new();
        for number in open.len()..count.min(open.len() + AT_ONCE) {
            let requests = Arc::clone(requests);
            opening.spawn(async move {
                let mut connection = Connection::open(address).await?;
                let status = connection.ask(&requests.bytes[number % requests.bytes.len()]).await?;
                anyhow::ensure!(status == 200, "a request is answered {status}");
                Ok(connection)
            });
        }
        while let Some(opened) = opening.join_next().await {
            open.push(opened??);
        }
    }
    Ok(open)
}

/// One connection that is kept open; one request at a time.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// When nobody listens.
    pub async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4 << 10),
        })
    }

    /// Sends a request; gives the status of its answer.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.write(request).await?;
        let (status, _) = self.answer().await?;
        Ok(status)
    }

    /// Sends some bytes of a request.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Status and body of the answer.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn answer(&mut self) -> anyhow::Result<(u16, String)> {
        self.buffer.clear();
        let message = http::read(&mut self.stream, &mut self.buffer).await?;
        let status = self
            .buffer
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok());
        let status = status.and_then(|digits| digits.parse().ok());
        let body = String::from_utf8_lossy(&self.buffer[message.body()]).into_owned();
        Ok((status.context("an answer with a status")?, body))
    }
}
