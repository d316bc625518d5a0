//! Turns what arrives into raw records: the HTTP endpoints here, the gRPC stream in `api/ingest.rs`. A raw record is a JSON
//! object; what is none – the row of a CSV, a form – becomes one.

pub mod body;
pub mod currents;
pub(crate) mod growth;
pub mod rows;
pub(crate) mod webhook;

use std::sync::Arc;

use bytes::Bytes;
use model::AccountNumber;

use crate::mappings::Chosen;

/// The longest name of a stream, in bytes. It is said in the reason and the headers of every record that is kept.
pub(crate) const STREAM_BYTES_MAX: usize = 256;

/// Where raw records came from.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// The account they were sent to.
    pub(crate) account: AccountNumber,
    /// The stream they were sent to, such as `braze_users`.
    pub(crate) stream: String,
    /// How its records are read: what was live when the request began or, on a stream of records, when these arrived.
    pub(crate) chosen: Chosen,
    /// How they arrived.
    pub(crate) source: Source,
    /// Their media type, said of those that are kept; `None` if nobody knows.
    pub(crate) content_type: Option<Bytes>,
    /// The flat field that says when a record happened; `None` if the sender named none.
    pub(crate) timestamp_field: Option<String>,
    /// The file that they are rows of, said of those that are kept.
    pub(crate) file: Option<Arc<InFile>>,
}

/// Where the records of a window stand in a file.
#[derive(Debug)]
pub(crate) struct InFile {
    /// The file's key.
    pub(crate) key: String,
    /// The row of each record.
    pub(crate) rows: Vec<u64>,
}

/// A raw record, or what stands in the place of one.
#[derive(Debug, Clone)]
pub struct Raw {
    /// A JSON object, unless the sender sent something else; of a record that is unusable, what could be read of it.
    pub json: Bytes,
    /// Why it is no record, written for the sender; `None` if that is for the mapping to say.
    pub unusable: Option<String>,
}

impl From<Bytes> for Raw {
    fn from(json: Bytes) -> Self {
        Self { json, unusable: None }
    }
}

/// How a raw record arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// `/c/{account}/{stream}`.
    Webhook,
    /// `POST /c/{account}/braze_currents`.
    Currents,
    /// `POST /collect/json/{stream}`.
    Json,
    /// `POST /collect/bulk/{stream}`.
    Bulk,
    /// `IngestService.IngestRecords`.
    Grpc,
    /// A file of an import job.
    Import,
}

impl Source {
    /// The name in metrics and headers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Currents => "currents",
            Self::Json => "json",
            Self::Bulk => "bulk",
            Self::Grpc => "grpc",
            Self::Import => "import",
        }
    }
}
