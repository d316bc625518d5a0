//! Braze's rate-limit headers, in all their forms.

use std::time::Duration;

/// What an answer says about the rate limit of the Braze workspace. Absent headers are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateHints {
    /// Requests allowed in the window.
    pub limit: Option<u64>,
    /// Requests left in the window (approximate on some contracts).
    pub remaining: Option<u64>,
    /// Time from now to the end of the window, 0 s to 3,600 s.
    pub reset: Option<Duration>,
    /// Time that Braze asks us to wait before the next request, 0 s to 3,600 s.
    pub retry_after: Option<Duration>,
}
