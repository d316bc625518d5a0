//! A folder in the place of a bucket.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use tokio::fs::{self, File, ReadDir};
use tokio_util::io::{ReaderStream, StreamReader};

use super::{Body, Error, Object};

/// Bytes that are read at a time.
const PIECE_BYTES: usize = 256 << 10;

/// A folder within the one that the installation allows.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    allowed: PathBuf,
    folder: PathBuf,
}

impl Folder {
    /// `path` is below `allowed`, or the whole of it.
    pub(super) fn new(allowed: &Path, path: &str) -> Result<Self, Error> {
        let folder = allowed.join(path);
        let climbs = folder.components().any(|part| part == Component::ParentDir);
        if climbs || !folder.starts_with(allowed) {
            return Err(outside());
        }
        let allowed = allowed.to_owned();
        Ok(Self { allowed, folder })
    }

    /// Where it really is.
    async fn root(&self) -> Result<PathBuf, Error> {
        let real = async |path: &Path| fs::canonicalize(path).await.map_err(|error| told(&error, "the folder"));
        let (allowed, root) = (real(&self.allowed).await?, real(&self.folder).await?);
        if root.starts_with(allowed) {
            Ok(root)
        } else {
            Err(outside())
        }
    }

    /// The files whose path within the folder begins with `prefix`. A link is followed to a file within the folder, and to nothing
    /// else; names that are not UTF-8 are passed over.
    pub(super) fn list(&self, prefix: &str) -> BoxStream<'static, Result<Object, Error>> {
        let (folder, prefix) = (self.clone(), prefix.to_owned());
        let walk = async move {
            let root = folder.root().await?;
            let open = fs::read_dir(&root).await.map_err(|error| told(&error, "the folder"))?;
            let walk = Walk {
                root,
                prefix,
                open,
                folders: Vec::new(),
            };
            let objects = stream::try_unfold(walk, async |mut walk| {
                let next = walk.next().await?;
                Ok(next.map(|object| (object, walk)))
            });
            Ok::<_, Error>(objects)
        };
        stream::once(walk).try_flatten().boxed()
    }

    pub(super) async fn read(&self, key: &str, etag: &str) -> Result<Body, Error> {
        let root = self.root().await?;
        let told = |error: &io::Error| told(error, key);
        let path = fs::canonicalize(root.join(key)).await.map_err(|error| told(&error))?;
        if !path.starts_with(&root) {
            return Err(outside());
        }
        let file = File::open(path).await.map_err(|error| told(&error))?;
        let found = file.metadata().await.map_err(|error| told(&error))?;
        if !found.is_file() {
            return Err(Error::Missing(key.to_owned()));
        }
        if etag != of(&found) {
            return Err(Error::Changed(key.to_owned()));
        }
        let bytes = ReaderStream::with_capacity(file, PIECE_BYTES);
        Ok(StreamReader::new(bytes.boxed()))
    }
}

/// Folders within the folder that are still to be looked through, and the one that is.
struct Walk {
    root: PathBuf,
    prefix: String,
    open: ReadDir,
    folders: Vec<PathBuf>,
}

impl Walk {
    async fn next(&mut self) -> Result<Option<Object>, Error> {
        loop {
            while let Some(entry) = self
                .open
                .next_entry()
                .await
                .map_err(|error| told(&error, "the folder"))?
            {
                let path = entry.path();
                let Some(key) = path.strip_prefix(&self.root).ok().and_then(Path::to_str) else {
                    continue;
                };
                // What is gone meanwhile is not there.
                let Ok(kind) = entry.file_type().await else { continue };
                if kind.is_dir() {
                    let within = format!("{key}/");
                    if within.starts_with(&self.prefix) || self.prefix.starts_with(&within) {
                        self.folders.push(path);
                    }
                    continue;
                }
                if !key.starts_with(&self.prefix) || !self.is_within(&path, kind.is_symlink()).await {
                    continue;
                }
                let Ok(found) = fs::metadata(&path).await else { continue };
                if found.is_file() && found.len() > 0 {
                    return Ok(Some(object(key, &found)));
                }
            }
            let Some(next) = self.folders.pop() else {
                return Ok(None);
            };
            match fs::read_dir(next).await {
                Ok(open) => self.open = open,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(told(&error, "a folder in it")),
            }
        }
    }

    async fn is_within(&self, path: &Path, is_link: bool) -> bool {
        !is_link
            || fs::canonicalize(path)
                .await
                .is_ok_and(|real| real.starts_with(&self.root))
    }
}

fn object(key: &str, found: &std::fs::Metadata) -> Object {
    let modified = Timestamp::new(found.mtime(), i32::try_from(found.mtime_nsec()).unwrap_or_default());
    Object {
        key: key.to_owned(),
        etag: of(found),
        size: found.len(),
        modified: modified.unwrap_or_default(),
    }
}

/// Another one when a file is replaced or written again.
fn of(found: &std::fs::Metadata) -> String {
    format!(
        "{:x}-{:x}-{:x}-{:x}",
        found.ino(),
        found.len(),
        found.mtime(),
        found.mtime_nsec()
    )
}

fn outside() -> Error {
    Error::Setup("path: it is not within the folder that the installation allows (imports.folder)".to_owned())
}

fn told(error: &io::Error, of: &str) -> Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Error::Missing(of.to_owned()),
        io::ErrorKind::PermissionDenied => Error::Refused(format!("{of}: no permission")),
        _ => Error::Unavailable(format!("{of}: {error}")),
    }
}
