//! A request body that knows whether it ever left this process, and asks before it does.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

const WAITING: u8 = 0;
const TAKEN: u8 = 1;
const CLOSED: u8 = 2;

/// Decides between *refused* and *unknown* when a call fails without an answer: a body that the connection never took
/// cannot have reached Braze. Closing is atomic with taking, so a connection task that runs beside a timed-out call
/// either took the body before, or gets an error in place of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<AtomicU8>);

impl Gate {
    /// The body to send; it can be taken once, and only while `may_send`. Asked when the connection takes the body: however
    /// long the process stood still before, nothing but the write itself comes after.
    pub(crate) fn body(&self, bytes: Bytes, may_send: impl Fn() -> bool + Send + Sync + 'static) -> GatedBody {
        GatedBody {
            gate: self.clone(),
            bytes: Some(bytes),
            may_send: Box::new(may_send),
        }
    }

    /// Keeps the body from being taken later; true if it had not been taken.
    pub(crate) fn close(&self) -> bool {
        self.leave_waiting_for(CLOSED) || self.0.load(Ordering::Acquire) == CLOSED
    }

    fn leave_waiting_for(&self, state: u8) -> bool {
        self.0
            .compare_exchange(WAITING, state, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }
}

/// One buffer behind a [`Gate`].
pub(crate) struct GatedBody {
    gate: Gate,
    bytes: Option<Bytes>,
    may_send: Box<dyn Fn() -> bool + Send + Sync>,
}

impl fmt::Debug for GatedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GatedBody")
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

impl Body for GatedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let frame = self.bytes.take().map(|bytes| {
            if !(self.may_send)() {
                self.gate.close();
            }
            if self.gate.leave_waiting_for(TAKEN) {
                Ok(Frame::data(bytes))
            } else {
                Err(io::Error::other("the call ended before its body was sent"))
            }
        });
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn poll(body: &mut GatedBody) -> Option<io::Result<Bytes>> {
        match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(frame) => frame.map(|frame| frame.map(|frame| frame.into_data().expect("only data"))),
            Poll::Pending => panic!("the body is always ready"),
        }
    }

    #[test]
    fn a_taken_body_cannot_be_called_unsent() {
        let gate = Gate::default();
        let mut body = gate.body(Bytes::from_static(b"{}"), || true);
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(
            poll(&mut body).expect("a frame").expect("data"),
            Bytes::from_static(b"{}")
        );
        assert!(body.is_end_stream());
        assert!(poll(&mut body).is_none());
        assert!(!gate.close());
    }

    #[test]
    fn what_may_not_be_sent_any_more_stays_and_counts_as_unsent() {
        let gate = Gate::default();
        let mut body = gate.body(Bytes::from_static(b"{}"), || false);
        assert!(poll(&mut body).expect("a frame").is_err());
        assert!(gate.close());
    }

    #[test]
    fn a_closed_gate_keeps_the_body_back() {
        let gate = Gate::default();
        let mut body = gate.body(Bytes::from_static(b"{}"), || true);
        assert!(gate.close());
        assert!(poll(&mut body).expect("a frame").is_err());
    }
}
