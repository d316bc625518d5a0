//! What can go wrong before a single call is made.

/// Why a [`Client`](crate::Client) cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The HTTP stack could not be set up, for example because the machine has no certificate authorities.
    #[error("cannot set up the HTTP client for Braze")]
    Setup(#[source] reqwest::Error),
}
