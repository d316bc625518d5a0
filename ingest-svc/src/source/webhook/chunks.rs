//! A body as it arrives, decompressed, a bounded piece at a time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_compression::tokio::bufread::GzipDecoder;
use axum::body::{Body, HttpBody};
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyDataStream, BodyExt};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_util::io::StreamReader;

use super::inflate::Inflate;
use super::refused::Refused;
use crate::metrics;
use crate::source::growth::{GROWTH_MAX, is_bomb};

/// What is decompressed at a time.
const PIECE_BYTES: usize = 64 << 10;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    Gzip,
    Deflate,
}

impl Coding {
    /// What `Content-Encoding` says.
    ///
    /// # Errors
    /// 415 when it is none that we know.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
        let Some(coding) = codings.next() else {
            return Ok(Self::Plain);
        };
        let is = |name: &str| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(name.as_bytes());
        match codings.next() {
            None if is("gzip") || is("x-gzip") => Ok(Self::Gzip),
            None if is("deflate") => Ok(Self::Deflate),
            None if is("identity") || is("") => Ok(Self::Plain),
            _ => Err(Refused {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                reason: "coding",
                message: "this Content-Encoding is not known; send gzip, deflate, or no compression".to_owned(),
            }),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "identity",
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
        }
    }
}

/// The pieces of a body.
pub(super) enum Chunks<'b> {
    Plain(&'b mut Body),
    Compressed(Compressed<'b>),
}

/// A body that is decompressed as it is asked for.
pub(super) struct Compressed<'b> {
    coding: Coding,
    decoder: Box<dyn AsyncRead + Send + Unpin + 'b>,
    /// Bytes of the body so far.
    received: Arc<AtomicU64>,
    /// Bytes that became of them.
    grown: u64,
}

/// The connection ended before the body did.
#[derive(Debug, thiserror::Error)]
#[error("the body ended early")]
struct Cut;

impl<'b> Chunks<'b> {
    pub(super) fn new(body: &'b mut Body, coding: Coding) -> Self {
        if coding == Coding::Plain {
            return Self::Plain(body);
        }
        let received = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&received);
        let pieces = BodyDataStream::new(body)
            .map_err(|_| io::Error::other(Cut))
            .inspect_ok(move |piece| {
                counted.fetch_add(piece.len() as u64, Ordering::Relaxed);
            });
        let reader = StreamReader::new(pieces);
        let decoder: Box<dyn AsyncRead + Send + Unpin> = if coding == Coding::Gzip {
            let mut decoder = GzipDecoder::new(reader);
            // As gzip itself does with files that were put one behind the other.
            decoder.multiple_members(true);
            Box::new(decoder)
        } else {
            Box::new(Inflate::new(reader))
        };
        Self::Compressed(Compressed {
            coding,
            decoder,
            received,
            grown: 0,
        })
    }

    /// The least that the body will have, if its sender says so.
    pub(super) fn declared(&self) -> usize {
        match self {
            Self::Plain(body) => usize::try_from(body.size_hint().lower()).unwrap_or(0),
            Self::Compressed(_) => 0,
        }
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// 408 when the connection ends before the body, 400 when it is not compressed as its sender says, 413 when it grows out of
    /// all proportion.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        match self {
            Self::Plain(body) => {
                while let Some(frame) = body.frame().await {
                    match frame.map(http_body::Frame::into_data) {
                        Ok(Ok(data)) => return Ok(Some(data)),
                        // Trailers.
                        Ok(Err(_)) => {}
                        Err(_) => return Err(cut()),
                    }
                }
                Ok(None)
            }
            Self::Compressed(compressed) => compressed.next().await,
        }
    }
}

impl Compressed<'_> {
    async fn next(&mut self) -> Result<Option<Bytes>, Refused> {
        // A piece of a body that is there already costs no wait; others have their turn all the same.
        tokio::task::consume_budget().await;
        let mut piece = BytesMut::with_capacity(PIECE_BYTES);
        let read = self.decoder.read_buf(&mut piece).await;
        let read = read.map_err(|error| match error.get_ref() {
            Some(inner) if inner.is::<Cut>() => cut(),
            _ => Refused {
                status: StatusCode::BAD_REQUEST,
                reason: "broken_coding",
                message: format!(
                    "the body is not what its Content-Encoding says: broken {}",
                    self.coding.as_str()
                ),
            },
        })?;
        self.grown += read as u64;
        if is_bomb(self.received.load(Ordering::Relaxed), self.grown) {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "growth").increment(1);
            return Err(Refused {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                reason: "growth",
                message: format!("the body is compressed more than {GROWTH_MAX} times; send it with less compression"),
            });
        }
        Ok((read > 0).then(|| piece.freeze()))
    }
}

fn cut() -> Refused {
    Refused::late("body_cut", "the body ended early")
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use async_compression::tokio::bufread::{DeflateEncoder, GzipEncoder, ZlibEncoder};
    use futures::stream;

    use super::*;

    async fn packed(coding: Coding, bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        match coding {
            Coding::Plain => packed.extend_from_slice(bytes),
            Coding::Gzip => drop(GzipEncoder::new(bytes).read_to_end(&mut packed).await.unwrap()),
            Coding::Deflate => drop(ZlibEncoder::new(bytes).read_to_end(&mut packed).await.unwrap()),
        }
        packed
    }

    /// Compressed without the format of zlib around it.
    async fn bare(bytes: &[u8]) -> Vec<u8> {
        let mut packed = Vec::new();
        DeflateEncoder::new(bytes).read_to_end(&mut packed).await.unwrap();
        packed
    }

    /// The largest piece and all of them, or the status.
    async fn read(coding: Coding, mut body: Body) -> Result<(usize, Vec<u8>), u16> {
        let mut chunks = Chunks::new(&mut body, coding);
        let (mut largest, mut all) = (0, Vec::new());
        loop {
            match chunks.next().await {
                Ok(Some(piece)) => {
                    largest = largest.max(piece.len());
                    all.extend_from_slice(&piece);
                }
                Ok(None) => return Ok((largest, all)),
                Err(refused) => return Err(refused.status.as_u16()),
            }
        }
    }

    #[tokio::test]
    async fn a_body_is_decompressed_a_bounded_piece_at_a_time() {
        let text = "a,b\n".repeat(100_000);
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = packed(coding, text.as_bytes()).await;
            let (largest, all) = read(coding, packed.into()).await.unwrap();
            assert!(all == text.as_bytes() && largest <= PIECE_BYTES, "{coding:?} {largest}");
        }
    }

    #[tokio::test]
    async fn deflate_is_taken_with_the_format_of_zlib_and_without_it_however_it_is_cut() {
        let text = "a,b\n".repeat(100_000);
        for packed in [
            packed(Coding::Deflate, text.as_bytes()).await,
            bare(text.as_bytes()).await,
        ] {
            let bytes = packed
                .iter()
                .map(|byte| Ok::<_, Infallible>(Bytes::copy_from_slice(&[*byte])));
            let one_by_one = Body::from_stream(stream::iter(bytes.collect::<Vec<_>>()));
            for body in [packed.clone().into(), one_by_one] {
                let (largest, all) = read(Coding::Deflate, body).await.unwrap();
                assert!(all == text.as_bytes() && largest <= PIECE_BYTES, "{largest}");
            }
        }
    }

    #[tokio::test]
    async fn a_bare_stream_that_is_broken_is_400_cut_off_408_and_a_bomb_413() {
        let packed = bare(b"some text").await;
        let half = packed[..packed.len() / 2].to_vec();
        assert_eq!(read(Coding::Deflate, half.clone().into()).await, Err(400));
        for plain in ["{\"braze_id\":\"b-1\"}", "[1]", "a=b", "email,city\nx,y\n"] {
            assert_eq!(read(Coding::Deflate, plain.into()).await, Err(400), "{plain}");
        }
        let cut = stream::iter([Ok(Bytes::from(half)), Err("connection reset")]);
        assert_eq!(read(Coding::Deflate, Body::from_stream(cut)).await, Err(408));
        let bomb = bare(&vec![b' '; 40_000_000]).await;
        assert_eq!(read(Coding::Deflate, bomb.into()).await, Err(413));
    }

    #[tokio::test]
    async fn gzip_may_have_several_members() {
        let mut both = packed(Coding::Gzip, b"ab").await;
        both.extend(packed(Coding::Gzip, b"cd").await);
        assert_eq!(read(Coding::Gzip, both.into()).await.unwrap().1, b"abcd");
    }

    #[tokio::test]
    async fn what_is_broken_is_400_and_what_was_cut_off_408() {
        for coding in [Coding::Gzip, Coding::Deflate] {
            let packed = packed(coding, b"some text").await;
            let half = packed[..packed.len() / 2].to_vec();
            assert_eq!(read(coding, half.clone().into()).await, Err(400), "{coding:?}");
            assert_eq!(read(coding, "plain".into()).await, Err(400), "{coding:?}");
            let cut = stream::iter([Ok(Bytes::from(half)), Err("connection reset")]);
            assert_eq!(read(coding, Body::from_stream(cut)).await, Err(408), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn what_grows_out_of_all_proportion_is_413_early() {
        let bomb = packed(Coding::Gzip, &vec![b' '; 40_000_000]).await;
        assert_eq!(read(Coding::Gzip, bomb.into()).await, Err(413));
    }

    #[test]
    fn a_body_may_grow_by_much_or_to_much_but_not_both() {
        assert!(!is_bomb(1, 10_000_000));
        assert!(!is_bomb(40_001, 10_000_001));
        assert!(is_bomb(40_000, 10_000_251));
    }

    #[test]
    fn only_codings_that_we_know_are_taken() {
        for (value, coding) in [
            (Some("gzip"), Some(Coding::Gzip)),
            (Some(" X-GZIP "), Some(Coding::Gzip)),
            (Some("deflate"), Some(Coding::Deflate)),
            (Some("identity"), Some(Coding::Plain)),
            (None, Some(Coding::Plain)),
            (Some("br"), None),
            (Some("gzip, gzip"), None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(value) = value {
                headers.insert(header::CONTENT_ENCODING, value.parse().unwrap());
            }
            assert_eq!(Coding::of(&headers).ok(), coding, "{value:?}");
        }
        let mut twice = HeaderMap::new();
        twice.append(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        twice.append(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(Coding::of(&twice).unwrap_err().status, 415);
    }
}
