//! A record on its way to Kafka, and what Kafka says to it.

use std::borrow::Cow;

use bytes::Bytes;

/// A record to be written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordOut {
    /// Full topic name.
    pub topic: String,
    /// The partition, or `None` for murmur2 of the key (a random one without a key).
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub payload: Option<Bytes>,
    /// Headers, in order.
    pub headers: Vec<(Cow<'static, str>, Bytes)>,
}

impl RecordOut {
    /// An empty record for `topic`.
    pub fn new(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            ..Self::default()
        }
    }

    /// Sets the partition.
    #[must_use]
    pub fn partition(mut self, partition: i32) -> Self {
        self.partition = Some(partition);
        self
    }

    /// Sets the key.
    #[must_use]
    pub fn key(mut self, key: impl Into<Bytes>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Bytes>) -> Self {
        self.payload = Some(payload.into());
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets all headers.
    #[must_use]
    pub fn headers(mut self, headers: Vec<(Cow<'static, str>, Bytes)>) -> Self {
        self.headers = headers;
        self
    }

    /// Size of key and value.
    pub(crate) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, Bytes::len) + self.payload.as_ref().map_or(0, Bytes::len)
    }
}

/// Where a record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}
