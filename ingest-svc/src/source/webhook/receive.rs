//! Reads a body within its bounds.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http_body_util::BodyExt;

use super::admission::Admitted;
use super::chunks::Chunks;
use super::refused::{Refused, busy};
use crate::metrics;

/// The whole body. What it has not reserved yet it reserves as it grows, so an undeclared length is bounded as well.
///
/// # Errors
/// 413 when it is larger than `bytes_max`, 503 when the bytes are not to be had, 408 when it takes longer than `timeout` or
/// ends early: a sender that lost its connection should try again. All of it as it is after decompression.
pub(super) async fn body(
    chunks: &mut Chunks<'_>,
    admitted: &mut Admitted,
    bytes_max: usize,
    timeout: Duration,
) -> Result<Bytes, Refused> {
    let declared = chunks.declared().min(bytes_max);
    let read = async {
        // Most bodies come in one frame, which is taken as it is; only a second one needs a buffer.
        let (mut only, mut buffer) = (Bytes::new(), BytesMut::new());
        while let Some(data) = chunks.next().await? {
            let total = only.len() + buffer.len() + data.len();
            if total > bytes_max {
                return Err(too_large(bytes_max));
            }
            if !admitted.reserve(total) {
                return Err(busy("held_bytes"));
            }
            if total == data.len() {
                only = data;
                continue;
            }
            if buffer.is_empty() {
                buffer.reserve(declared.max(total));
                buffer.extend_from_slice(&std::mem::take(&mut only));
            }
            buffer.extend_from_slice(&data);
        }
        Ok(if buffer.is_empty() { only } else { buffer.freeze() })
    };
    match tokio::time::timeout(timeout, read).await {
        Ok(result) => result,
        Err(_) => {
            ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "body_time").increment(1);
            Err(Refused::late("body_time", "the body took too long"))
        }
    }
}

/// 413.
pub(super) fn too_large(bytes_max: usize) -> Refused {
    ::metrics::counter!(metrics::BOUNDS_REACHED, "bound" => "body_bytes").increment(1);
    Refused {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        reason: "body_bytes",
        message: format!("the body is larger than {bytes_max} bytes"),
    }
}

/// Reads a body away without keeping it, at most `bytes_max` of it: a sender that is still writing would otherwise see a
/// reset connection instead of the answer it was given.
pub(super) async fn discard(mut body: Body, bytes_max: usize, timeout: Duration) {
    let read = async {
        let mut left = bytes_max;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(bytes) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // What is left unread costs the sender its connection, nothing more.
    let _in_time = tokio::time::timeout(timeout, read).await.is_ok();
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures::stream;

    use super::super::admission::Admission;
    use super::super::chunks::Coding;
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn chunks(chunks: &[&'static [u8]]) -> Body {
        let frames: Vec<_> = chunks
            .iter()
            .map(|chunk| Ok::<_, Infallible>(Bytes::from_static(chunk)))
            .collect();
        Body::from_stream(stream::iter(frames))
    }

    async fn read(mut body: Body, bytes_max: usize, held_max: usize) -> Result<Bytes, u16> {
        let mut admitted = Admission::new(1, held_max).enter().unwrap();
        let mut chunks = Chunks::new(&mut body, Coding::Plain);
        let read = super::body(&mut chunks, &mut admitted, bytes_max, TIMEOUT).await;
        read.map_err(|refused| refused.status.as_u16())
    }

    #[tokio::test]
    async fn a_body_is_put_together_from_its_frames() {
        assert_eq!(read(chunks(&[]), 10, 10).await.unwrap(), "");
        assert_eq!(read(chunks(&[b"abc"]), 10, 10).await.unwrap(), "abc");
        assert_eq!(read(chunks(&[b"abc", b"", b"de", b"f"]), 6, 6).await.unwrap(), "abcdef");
    }

    #[tokio::test]
    async fn a_body_of_undeclared_length_is_bounded_too() {
        assert_eq!(read(chunks(&[b"abc", b"def"]), 5, 100).await, Err(413));
        assert_eq!(read(chunks(&[b"abc", b"def"]), 100, 5).await, Err(503));
    }

    #[tokio::test]
    async fn a_body_that_ends_early_is_408_because_the_sender_should_try_again() {
        let cut = stream::iter([Ok(Bytes::from_static(b"{")), Err("connection reset")]);
        assert_eq!(read(Body::from_stream(cut), 10, 10).await, Err(408));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_408() {
        let first = stream::iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]);
        let stalled = Body::from_stream(futures::StreamExt::chain(first, stream::pending()));
        assert_eq!(read(stalled, 10, 10).await, Err(408));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_drips_is_408_however_little_is_between_two_bytes() {
        let drips = stream::unfold((), async |()| {
            tokio::time::sleep(TIMEOUT / 100).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b" ")), ()))
        });
        assert_eq!(read(Body::from_stream(drips), 1_000, 1_000).await, Err(408));
    }
}
