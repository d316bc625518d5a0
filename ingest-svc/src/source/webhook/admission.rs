//! How much may be held at once. Who does not fit is answered 503 at once, before its body is read; nobody waits in a queue.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Counts requests in progress and the bytes of their bodies.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    requests: Arc<Semaphore>,
    requests_max: usize,
    bytes: Arc<Semaphore>,
    bytes_max: usize,
}

/// A request that was admitted; gives its slot and its bytes back when dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    bytes: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
    _request: OwnedSemaphorePermit,
}

impl Admission {
    pub(crate) fn new(requests_max: usize, bytes_max: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            bytes: Arc::new(Semaphore::new(bytes_max)),
            bytes_max,
        }
    }

    /// A bound of requests of its own that shares the bytes.
    pub(crate) fn beside(&self, requests_max: usize) -> Self {
        Self {
            requests: Arc::new(Semaphore::new(requests_max)),
            requests_max,
            ..self.clone()
        }
    }

    /// A slot for one request, or `None` when all are taken.
    pub(crate) fn enter(&self) -> Option<Admitted> {
        let request = Arc::clone(&self.requests).try_acquire_owned().ok()?;
        Some(Admitted {
            bytes: Arc::clone(&self.bytes),
            held: None,
            _request: request,
        })
    }

    /// `bytes` for something that is no request, such as records of a gRPC stream, or `None` when they are not to be had.
    pub(crate) fn hold(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes).ok()?;
        Arc::clone(&self.bytes).try_acquire_many_owned(bytes).ok()
    }

    /// Requests in progress.
    pub(crate) fn requests(&self) -> usize {
        self.requests_max - self.requests.available_permits()
    }

    /// Bytes of bodies held or about to be read.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes_max - self.bytes.available_permits()
    }
}

impl Admitted {
    /// Sees to it that `total` bytes are reserved for this request. False, and nothing changed, when they are not to be had.
    #[must_use]
    pub(crate) fn reserve(&mut self, total: usize) -> bool {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let Ok(missing) = u32::try_from(total.saturating_sub(held)) else {
            return false;
        };
        match Arc::clone(&self.bytes).try_acquire_many_owned(missing) {
            Ok(more) => {
                match &mut self.held {
                    Some(held) => held.merge(more),
                    None => self.held = Some(more),
                }
                true
            }
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_beyond_the_bound_is_refused_until_another_leaves() {
        let admission = Admission::new(2, 100);
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        assert_eq!(admission.requests(), 2);
        drop(first);
        assert!(admission.enter().is_some());
    }

    #[test]
    fn requests_of_another_bound_take_no_slot_but_share_the_bytes() {
        let admission = Admission::new(1, 100);
        let beside = admission.beside(1);
        let mut first = beside.enter().unwrap();
        assert!(beside.enter().is_none() && first.reserve(60));
        assert_eq!((admission.requests(), admission.bytes()), (0, 60));
        assert!(!admission.enter().unwrap().reserve(41));
    }

    #[test]
    fn bytes_are_reserved_as_a_total_and_given_back_with_the_request() {
        let admission = Admission::new(9, 100);
        let mut first = admission.enter().unwrap();
        let mut second = admission.enter().unwrap();
        assert!(first.reserve(60) && first.reserve(40) && first.reserve(70));
        assert_eq!(admission.bytes(), 70);
        assert!(!second.reserve(31), "only 30 bytes are left");
        assert!(second.reserve(30));
        drop(first);
        assert_eq!(admission.bytes(), 30);
        assert!(second.reserve(100));
        assert!(!second.reserve(usize::MAX));
    }
}
