//! The three ways in over HTTP, and how they differ.

use http::Method;

use crate::source::Source;

/// Where records are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Endpoint {
    /// Webhooks and web tags; the account is in the path.
    Collector,
    /// Records of one body that is read as a whole.
    Json,
    /// Files of any length.
    Bulk,
}

impl Endpoint {
    pub(super) const ALL: [Self; 3] = [Self::Collector, Self::Json, Self::Bulk];

    pub(super) fn route(self) -> &'static str {
        match self {
            Self::Collector => "/c/{account}/{stream}",
            Self::Json => "/collect/json/{stream}",
            Self::Bulk => "/collect/bulk/{stream}",
        }
    }

    /// Whether a request of this method is taken. Not HEAD, which must change nothing.
    pub(super) fn takes(self, method: &Method) -> bool {
        *method == Method::POST || (self == Self::Collector && *method == Method::GET)
    }

    /// The methods, as the header `Allow` lists them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Self::Collector => "POST, GET",
            Self::Json | Self::Bulk => "POST",
        }
    }

    pub(super) fn source(self) -> Source {
        match self {
            Self::Collector => Source::Webhook,
            Self::Json => Source::Json,
            Self::Bulk => Source::Bulk,
        }
    }
}
