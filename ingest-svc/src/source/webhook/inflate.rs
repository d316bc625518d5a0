//! `Content-Encoding: deflate`, in both forms that are about: the format of zlib, which the standard means, and the bare stream
//! that many senders take it for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::{DeflateDecoder, ZlibDecoder};
use tokio::io::{AsyncBufRead, AsyncRead, ReadBuf};

/// Decompresses either form; the first byte tells which it is.
pub(super) enum Inflate<R> {
    /// Nothing has come yet; `None` only within a poll.
    Begins(Option<R>),
    Zlib(ZlibDecoder<R>),
    Bare(DeflateDecoder<R>),
}

impl<R: AsyncBufRead> Inflate<R> {
    pub(super) fn new(reader: R) -> Self {
        Self::Begins(Some(reader))
    }
}

/// The first byte of zlib's format is its method, 8, below the size of its window, at most 7 (RFC 1950, 2.2). In a bare stream an 8
/// would be a stored block followed by a bit that is not zero, which nobody writes. Nothing at all is broken as either.
fn is_zlib(first: Option<&u8>) -> bool {
    first.is_none_or(|first| first & 0x0f == 8 && first >> 4 <= 7)
}

impl<R: AsyncBufRead + Unpin> AsyncRead for Inflate<R> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Self::Begins(received) = this
            && let Some(reader) = received
        {
            let is_zlib = is_zlib(ready!(Pin::new(reader).poll_fill_buf(context))?.first());
            *this = match received.take() {
                Some(reader) if is_zlib => Self::Zlib(ZlibDecoder::new(reader)),
                Some(reader) => Self::Bare(DeflateDecoder::new(reader)),
                None => Self::Begins(None),
            };
        }
        match this {
            Self::Begins(_) => Poll::Ready(Ok(())),
            Self::Zlib(decoder) => Pin::new(decoder).poll_read(context, out),
            Self::Bare(decoder) => Pin::new(decoder).poll_read(context, out),
        }
    }
}
