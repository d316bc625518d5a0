//! The files of a zip, one behind the other, from where they stand: its list of contents comes last, and is not waited for.
//!
//! By APPNOTE.TXT 6.3.10. A file may be stored or deflated; of a deflated one the sizes and the checksum may stand behind it (4.3.9), as
//! whoever writes a zip without going back leaves them. Every checksum is verified.

use std::io;
use std::sync::Arc;

use async_compression::tokio::bufread::DeflateDecoder;
use crc32fast::Hasher;
use tokio::io::{AsyncBufRead, AsyncReadExt, Take};

use super::unpack::invalid;

/// What stands before each part (4.3.7 and on).
const FILE: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR: [u8; 4] = *b"PK\x07\x08";
/// What may come behind the files: the list of contents, its signature or extra data, or, of a zip without files, the end.
const BEHIND: [[u8; 4]; 4] = [*b"PK\x01\x02", *b"PK\x06\x08", *b"PK\x06\x06", *b"PK\x05\x06"];
/// Bytes of a file's header behind its signature, without name and extra fields.
const HEADER_BYTES: usize = 26;
/// Flags of a file (4.4.4).
const ENCRYPTED: u16 = 1;
const SIZES_BEHIND: u16 = 1 << 3;
/// The extra field with sizes of 64 bits (4.5.3), and what stands in their place.
const ZIP64: u16 = 1;
const IN_ZIP64: u64 = 0xffff_ffff;

/// A zip.
pub(super) struct Zip<B> {
    /// `None` only within a call.
    state: Option<State<B>>,
    file: File,
}

enum State<B> {
    Between(B),
    Stored(Take<B>),
    Deflated(Box<DeflateDecoder<B>>),
}

/// Whether there are no rows in a file of this name: a folder, or what macOS notes beside files.
pub(super) fn is_passed_over(name: &str) -> bool {
    name.ends_with('/') || name.starts_with("__MACOSX/")
}

/// What is known of the present file.
#[derive(Default)]
struct File {
    name: Arc<str>,
    /// As its header says, unless that stands behind it.
    told: Option<Told>,
    /// Its sizes have 64 bits.
    is_zip64: bool,
    /// What was read of it.
    size: u64,
    checksum: Hasher,
}

#[derive(PartialEq, Eq)]
struct Told {
    checksum: u32,
    size: u64,
}

impl<B: AsyncBufRead + Unpin> Zip<B> {
    pub(super) fn new(input: B) -> Self {
        Self {
            state: Some(State::Between(input)),
            file: File::default(),
        }
    }

    /// Goes on to the next file, if there is one.
    pub(super) async fn next_member(&mut self) -> io::Result<Option<Arc<str>>> {
        let Some(State::Between(input)) = self.state.take() else {
            return Err(invalid("the file before was not read to its end"));
        };
        let is_there = self.header(input).await?;
        Ok(is_there.then(|| Arc::clone(&self.file.name)))
    }

    /// Reads what stands before a file; whether there is one.
    async fn header(&mut self, mut input: B) -> io::Result<bool> {
        let mut signature = [0; 4];
        input.read_exact(&mut signature).await.map_err(cut)?;
        if BEHIND.contains(&signature) {
            self.state = Some(State::Between(input));
            return Ok(false);
        }
        if signature != FILE {
            return Err(invalid("where a file of the zip should begin, there is none"));
        }
        let mut header = [0; HEADER_BYTES];
        input.read_exact(&mut header).await.map_err(cut)?;
        let (flags, method, checksum) = (short(&header, 2), short(&header, 4), long(&header, 10));
        let (mut packed, mut size) = (u64::from(long(&header, 14)), u64::from(long(&header, 18)));
        let mut name = vec![0; usize::from(short(&header, 22))];
        input.read_exact(&mut name).await.map_err(cut)?;
        let mut extra = vec![0; usize::from(short(&header, 24))];
        input.read_exact(&mut extra).await.map_err(cut)?;
        let name: Arc<str> = String::from_utf8_lossy(&name).into();
        let zip64 = extra_field(&extra, ZIP64);
        let mut large = zip64.unwrap_or_default().chunks_exact(8).map(|size| huge(size, 0));
        for size in [&mut size, &mut packed] {
            if *size == IN_ZIP64 {
                *size = large.next().unwrap_or(*size);
            }
        }
        let are_behind = flags & SIZES_BEHIND != 0;
        self.state = Some(match method {
            _ if flags & ENCRYPTED != 0 => return Err(invalid(format!("{name} is encrypted"))),
            0 if are_behind => {
                let problem = format!("{name} is stored without its size, so that its end cannot be seen; deflate it");
                return Err(invalid(problem));
            }
            0 => State::Stored(input.take(packed)),
            8 => State::Deflated(Box::new(DeflateDecoder::new(input))),
            other => return Err(invalid(format!("{name} is compressed by method {other}; deflate it"))),
        });
        self.file = File {
            name,
            told: (!are_behind).then_some(Told { checksum, size }),
            is_zip64: zip64.is_some(),
            ..File::default()
        };
        Ok(true)
    }

    /// Some bytes of the present file; none at its end, which is right if its checksum is.
    pub(super) async fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = match &mut self.state {
            Some(State::Stored(input)) => input.read(out).await,
            Some(State::Deflated(decoder)) => decoder.read(out).await,
            Some(State::Between(_)) | None => return Ok(0),
        };
        let read = read.map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => invalid(format!("{} is not deflated as it should be", self.file.name)),
            _ => cut(error),
        })?;
        self.file.checksum.update(&out[..read]);
        self.file.size += read as u64;
        if read == 0 {
            self.end().await?;
        }
        Ok(read)
    }

    async fn end(&mut self) -> io::Result<()> {
        let mut input = match self.state.take() {
            Some(State::Stored(input)) => input.into_inner(),
            Some(State::Deflated(decoder)) => decoder.into_inner(),
            Some(State::Between(input)) => input,
            None => return Ok(()),
        };
        let file = std::mem::take(&mut self.file);
        let found = Told {
            checksum: file.checksum.finalize(),
            size: file.size,
        };
        let told = match file.told {
            Some(told) => told,
            None => descriptor(&mut input, file.size, file.is_zip64).await.map_err(cut)?,
        };
        if told != found {
            return Err(invalid(format!(
                "{} is not what its checksum says, or is cut off",
                file.name
            )));
        }
        self.state = Some(State::Between(input));
        Ok(())
    }
}

/// What stands behind a file of which `size` bytes were read. Not every writer of large sizes says so before.
async fn descriptor<B: AsyncBufRead + Unpin>(input: &mut B, size: u64, is_zip64: bool) -> io::Result<Told> {
    let mut checksum = [0; 4];
    input.read_exact(&mut checksum).await?;
    if checksum == DESCRIPTOR {
        input.read_exact(&mut checksum).await?;
    }
    let checksum = u32::from_le_bytes(checksum);
    let mut sizes = [0; 8];
    input.read_exact(&mut sizes).await?;
    let short_size = u64::from(long(&sizes, 4));
    if !is_zip64 && short_size == size & IN_ZIP64 {
        return Ok(Told { checksum, size });
    }
    input.read_exact(&mut sizes).await?;
    let size = huge(&sizes, 0);
    Ok(Told { checksum, size })
}

/// The bytes of an extra field (4.5.1).
fn extra_field(mut extra: &[u8], id: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let (field, rest) = rest.split_at_checked(usize::from(short(head, 2)))?;
        if short(head, 0) == id {
            return Some(field);
        }
        extra = rest;
    }
    None
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let found = bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok());
    found.unwrap_or([0; N])
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(number(bytes, at))
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(number(bytes, at))
}

fn huge(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(number(bytes, at))
}

/// The zip ends too early, unless its source failed.
fn cut(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => invalid("the zip is cut off"),
        _ => error,
    }
}
