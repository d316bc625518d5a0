//! The pipeline's thread at rest: whatever happens wakes it, so that it need not look around.

use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Lets one thread rest.
pub(super) struct Rest {
    waker: Waker,
}

/// Unparks a thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl Rest {
    pub(super) fn of_this_thread() -> Self {
        Self {
            waker: Waker::from(Arc::new(Unpark(thread::current()))),
        }
    }

    /// Ends the rest, or the next one.
    pub(super) fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Gives the next event if there is one; else rests until it is woken – by an event, by something else wanted, by the `end` –
    /// or for as long as `longest`.
    pub(super) fn rest<E, W>(
        &self,
        events: &mut mpsc::Receiver<E>,
        wanted: &watch::Receiver<W>,
        end: &CancellationToken,
        longest: Duration,
    ) -> Option<E> {
        let mut context = Context::from_waker(&self.waker);
        let mut wanted = wanted.clone();
        // They wake the thread as long as they live.
        let (changed, ended) = (pin!(wanted.changed()), pin!(end.cancelled()));
        let changed = matches!(changed.poll(&mut context), Poll::Ready(Ok(())));
        if changed || ended.poll(&mut context).is_ready() {
            return None;
        }
        self.rest_for_event(events, longest)
    }

    /// As [`Rest::rest`], for events only.
    pub(super) fn rest_for_event<E>(&self, events: &mut mpsc::Receiver<E>, longest: Duration) -> Option<E> {
        let event = events.poll_recv(&mut Context::from_waker(&self.waker));
        if event.is_pending() {
            thread::park_timeout(longest);
        }
        match event {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::time::Instant;

    use super::*;

    /// Longer than anybody waits here.
    const FOR_EVER: Duration = Duration::from_secs(60);
    const PATIENCE: Duration = Duration::from_secs(20);

    struct World {
        events: mpsc::Sender<u8>,
        wanted: watch::Sender<u8>,
        end: CancellationToken,
        waker: Waker,
    }

    /// Whether a thread that rests, or is about to, ends its rest when `happens` happens.
    fn wakes(happens: impl FnOnce(&World)) -> bool {
        let ((events, mut happening), (wanted, wants)) = (mpsc::channel(1), watch::channel(0));
        let end = CancellationToken::new();
        let ((tell, told), (done, is_done)) = (sync_channel(1), sync_channel(1));
        let ended = end.clone();
        thread::spawn(move || {
            let rest = Rest::of_this_thread();
            tell.send(rest.waker()).unwrap();
            rest.rest(&mut happening, &wants, &ended, FOR_EVER);
            // Nobody may listen any more.
            done.send(()).unwrap_or_default();
        });
        let waker = told.recv_timeout(PATIENCE).unwrap();
        let world = World {
            events,
            wanted,
            end,
            waker,
        };
        happens(&world);
        // Its end would wake the thread, too: it is dropped after the look.
        is_done.recv_timeout(PATIENCE).is_ok()
    }

    #[test]
    fn whatever_happens_ends_a_rest() {
        assert!(wakes(|world| world.events.try_send(1).unwrap()), "an event");
        assert!(wakes(|world| world.wanted.send(1).unwrap()), "something else is wanted");
        assert!(wakes(|world| world.end.cancel()), "the end");
        assert!(wakes(|world| world.waker.wake_by_ref()), "a record");
    }

    #[test]
    fn what_has_happened_before_lets_nobody_rest() {
        let (rest, begun) = (Rest::of_this_thread(), Instant::now());
        let ((events, mut happening), (wanted, wants)) = (mpsc::channel(1), watch::channel(0));
        let end = CancellationToken::new();
        events.try_send(7).unwrap();
        assert_eq!(rest.rest(&mut happening, &wants, &end, FOR_EVER), Some(7));
        wanted.send(1).unwrap();
        assert_eq!(rest.rest(&mut happening, &wants, &end, FOR_EVER), None);
        assert!(wants.has_changed().unwrap(), "whoever rests has not seen it");
        let (_wanted, wants) = watch::channel(0);
        end.cancel();
        assert_eq!(rest.rest(&mut happening, &wants, &end, FOR_EVER), None);
        assert!(begun.elapsed() < FOR_EVER, "it has rested");
    }
}
