//! The least of HTTP/1.1 that it takes to read a message: whoever is measured must not wait for a client or a server.

use std::ops::Range;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt};

/// Where a message is in the buffer that it was read into, from its beginning on.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Where its body begins.
    head: usize,
    /// Where it ends.
    pub end: usize,
}

impl Message {
    /// Its body, in the buffer.
    pub fn body(&self) -> Range<usize> {
        self.head..self.end
    }
}

/// Reads until the buffer holds a whole message, a request or an answer with a `content-length`; more may come behind it.
///
/// # Errors
/// When the connection ends, or the message says no length.
pub async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> anyhow::Result<Message> {
    let head = loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break end + 4;
        }
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "closed");
    };
    let end = head + length(&buffer[..head])?;
    while buffer.len() < end {
        anyhow::ensure!(stream.read_buf(buffer).await? > 0, "closed");
    }
    Ok(Message { head, end })
}

fn length(head: &[u8]) -> anyhow::Result<usize> {
    let head = std::str::from_utf8(head)?;
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let (_, length) = headers
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("a message without a length")?;
    Ok(length.trim().parse()?)
}
