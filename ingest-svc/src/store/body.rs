//! The bytes of an object, through broken connections.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectStore};
use secrecy::SecretString;
use tokio_util::io::StreamReader;

use super::CALL_MAX;
use super::error::Error;

/// The bytes of an object.
pub type Body = StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>;

/// How often in a row a connection may break.
const BREAKS_MAX: u32 = 5;
/// Bytes after which a break is no more one in a row.
const PROGRESS_BYTES: u64 = 1 << 20;
/// How long to wait after the first break; after each further one twice as long.
const BREAK_PAUSE: Duration = Duration::from_millis(100);

/// As [`Store::read`](super::Store::read).
pub(crate) async fn read(
    bucket: Arc<dyn ObjectStore>,
    secret: Option<SecretString>,
    key: &str,
    etag: &str,
) -> Result<Body, Error> {
    let path = Path::parse(key).map_err(|error| Error::Refused(format!("the key cannot be read ({error})")))?;
    let mut reading = Reading {
        bucket,
        secret,
        path,
        etag: (!etag.is_empty()).then(|| quoted(etag)),
        next: 0,
        size: u64::MAX,
        arriving: None,
        breaks: 0,
        since_break: 0,
    };
    reading.open().await?;
    let bytes = stream::try_unfold(reading, async |mut reading| {
        let next = reading.next().await?;
        Ok(next.map(|bytes| (bytes, reading)))
    });
    Ok(StreamReader::new(bytes.map_err(|error: Error| error.into()).boxed()))
}

struct Reading {
    bucket: Arc<dyn ObjectStore>,
    secret: Option<SecretString>,
    path: Path,
    etag: Option<String>,
    /// The first byte that has not arrived.
    next: u64,
    size: u64,
    arriving: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    breaks: u32,
    since_break: u64,
}

impl Reading {
    /// Asks for what is left of it.
    async fn open(&mut self) -> Result<(), Error> {
        let options = GetOptions {
            if_match: self.etag.clone(),
            range: (self.next > 0).then_some(GetRange::Offset(self.next)),
            ..GetOptions::default()
        };
        let got = tokio::time::timeout(CALL_MAX, self.bucket.get_opts(&self.path, options)).await;
        let got = got.map_err(|_| Error::late(CALL_MAX))?;
        let got = got.map_err(|error| self.told(&error))?;
        // Some storages pass over `If-Match`.
        let now = got.meta.e_tag.as_deref().map(quoted);
        match &self.etag {
            Some(etag) if now.as_ref() != Some(etag) => return Err(Error::Changed(self.path.to_string())),
            Some(_) => {}
            // What goes on must be what it began with.
            None => self.etag = now,
        }
        self.size = got.meta.size;
        self.arriving = Some(got.into_stream());
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            let broken = match &mut self.arriving {
                None => match self.open().await {
                    Ok(()) => continue,
                    Err(error) => error,
                },
                Some(arriving) => match arriving.next().await {
                    Some(Ok(bytes)) => {
                        self.arrived(bytes.len() as u64);
                        return Ok(Some(bytes));
                    }
                    None if self.next >= self.size => return Ok(None),
                    None => Error::Unavailable("the object ended early".to_owned()),
                    Some(Err(error)) => self.told(&error),
                },
            };
            self.arriving = None;
            self.breaks += 1;
            if !broken.is_temporary() || self.breaks > BREAKS_MAX {
                return Err(broken);
            }
            self.since_break = 0;
            tokio::time::sleep(BREAK_PAUSE * 2_u32.pow(self.breaks - 1)).await;
        }
    }

    fn arrived(&mut self, bytes: u64) {
        self.next += bytes;
        self.since_break += bytes;
        if self.since_break >= PROGRESS_BYTES {
            self.breaks = 0;
        }
    }

    fn told(&self, error: &object_store::Error) -> Error {
        Error::from_library(error, self.secret.as_ref(), self.path.as_ref())
    }
}

/// As HTTP wants it; Azure lists it without quotes.
fn quoted(etag: &str) -> String {
    if etag.ends_with('"') {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}
