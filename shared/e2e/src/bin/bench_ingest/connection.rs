//! A connection to whoever is measured.

use std::net::SocketAddr;

use anyhow::Context as _;
use shared_e2e::bench::http;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// One connection that is kept open; one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// # Errors
    /// When nobody listens.
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
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
    pub(crate) async fn ask(&mut self, request: &[u8]) -> anyhow::Result<u16> {
        self.write(request).await?;
        let (status, _) = self.answer().await?;
        Ok(status)
    }

    /// Sends some bytes of a request.
    ///
    /// # Errors
    /// When the connection ends.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(self.stream.write_all(bytes).await?)
    }

    /// Status and body of the answer.
    ///
    /// # Errors
    /// When the connection ends.
    pub(crate) async fn answer(&mut self) -> anyhow::Result<(u16, String)> {
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
