//! Turns what arrives into raw records: the webhook endpoint here, the gRPC stream in `api/ingest.rs`.

pub(crate) mod body;
pub(crate) mod webhook;

use bytes::Bytes;
use model::AccountNumber;

/// The longest name of a stream, in bytes. It is said in the reason and the headers of every record that is kept.
pub(crate) const STREAM_BYTES_MAX: usize = 256;

/// Where raw records came from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The account they were sent to.
    pub(crate) account: AccountNumber,
    /// The stream they were sent to, such as `braze_users`.
    pub(crate) stream: String,
    /// How they arrived.
    pub(crate) source: Source,
    /// What the sender says they are; `None` if it does not say.
    pub(crate) content_type: Option<Bytes>,
}

/// How a raw record arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `POST /c/{account}/{stream}`.
    Webhook,
    /// `IngestService.IngestRecords`.
    Grpc,
}

impl Source {
    /// The name in metrics and headers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Grpc => "grpc",
        }
    }
}
