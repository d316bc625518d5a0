//! Undoes the compression of a file.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use async_compression::tokio::bufread::GzipDecoder;
use tokio::io::{AsyncRead, AsyncReadExt, BufReader, ReadBuf};

use super::format::Compression;
use super::zip::Zip;

/// What is read of a file at a time.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// By how many bytes a compression is known.
const MAGIC_BYTES: u64 = 4;

/// The bytes of a file.
pub(super) type Input = BufReader<Box<dyn AsyncRead + Send + Unpin>>;

/// A file, as it is unpacked.
pub(super) enum Unpacked {
    Plain {
        input: Input,
        has_begun: bool,
    },
    Gzip {
        decoder: Box<GzipDecoder<Input>>,
        has_begun: bool,
    },
    Zip(Box<Zip<Input>>),
}

/// Where a file comes from does not give it: not the file's fault.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(super) struct SourceFailed(io::Error);

impl SourceFailed {
    /// What the source said, unless the file is broken.
    pub(super) fn of(error: io::Error) -> Result<io::Error, io::Error> {
        error.downcast::<Self>().map(|failed| failed.0)
    }
}

/// Counts what a source gives, and tells its errors from those of whoever reads it.
struct Source<R> {
    reader: R,
    received: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Source<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        let read = ready!(Pin::new(&mut self.reader).poll_read(context, out));
        let bytes = (out.filled().len() - before) as u64;
        self.received.fetch_add(bytes, Ordering::Relaxed);
        Poll::Ready(read.map_err(|error| io::Error::other(SourceFailed(error))))
    }
}

impl Unpacked {
    /// Undoes the compression that is given, else the one that the first bytes show, which must be the one that the name says. Beside the
    /// file, the bytes that it has been given so far.
    pub(super) async fn open(
        reader: Box<dyn AsyncRead + Send + Unpin>,
        given: Option<Compression>,
        named: Option<Compression>,
    ) -> io::Result<(Self, Arc<AtomicU64>)> {
        let received = Arc::<AtomicU64>::default();
        let mut source = Source {
            reader,
            received: Arc::clone(&received),
        };
        let mut magic = Vec::new();
        (&mut source).take(MAGIC_BYTES).read_to_end(&mut magic).await?;
        let seen = Compression::of_beginning(&magic);
        let compression = match (given, named) {
            (Some(given), _) => given,
            (None, Some(named)) if named != seen => {
                let named = named.as_str();
                let problem =
                    format!("by its name it is a {named}, but it does not begin as one; say what its compression is");
                return Err(invalid(problem));
            }
            (None, _) => seen,
        };
        let whole: Box<dyn AsyncRead + Send + Unpin> = Box::new(io::Cursor::new(magic).chain(source));
        let input = BufReader::with_capacity(PIECE_BYTES, whole);
        let has_begun = false;
        let unpacked = match compression {
            Compression::None => Self::Plain { input, has_begun },
            Compression::Gzip => {
                let mut decoder = Box::new(GzipDecoder::new(input));
                // As gzip itself does with files that were put one behind the other.
                decoder.multiple_members(true);
                Self::Gzip { decoder, has_begun }
            }
            Compression::Zip => Self::Zip(Box::new(Zip::new(input))),
        };
        Ok((unpacked, received))
    }

    /// Goes on to the next file in it, once the last was read to its end: its name, if it has one. `None` if there is none.
    pub(super) async fn next_member(&mut self) -> io::Result<Option<Option<Arc<str>>>> {
        match self {
            Self::Plain { has_begun, .. } | Self::Gzip { has_begun, .. } => {
                let is_first = !std::mem::replace(has_begun, true);
                Ok(is_first.then_some(None))
            }
            Self::Zip(zip) => Ok(zip.next_member().await?.map(Some)),
        }
    }

    /// Some bytes of the present file; none at its end.
    pub(super) async fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain { input, .. } => input.read(out).await,
            Self::Gzip { decoder, .. } => decoder.read(out).await,
            Self::Zip(zip) => zip.read(out).await,
        }
    }
}

/// What is wrong with a file, for whoever has it.
pub(super) fn invalid(problem: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.into())
}
