//! Files that somebody uploads, until they are read: as parts in object storage, which all replicas see.
//!
//! ```text
//! <imports.upload_url>/<account>/<upload>/<offset of the part's first byte, 20 digits>
//!                                        /removed     nothing more may come
//! ```
//!
//! A part is at most [`PART_BYTES`], is written once, and begins where another one ends. So two senders at the same offset cannot both
//! be right: the second finds the part there. Nothing else is kept of an upload; what it is for is said by its import job.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use control::{Directory, ImportJob, ImportSource};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt, future};
use jiff::Timestamp;
use model::AccountNumber;
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, PutMode, PutOptions};
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::store::{self, Body, Error};

/// Bytes of a part, at most.
pub const PART_BYTES: usize = 8 << 20;
/// Bytes of an uploaded file, at most: 1 TiB.
pub const SIZE_MAX: u64 = 1 << 40;
/// What is left of an upload that nobody needs, or whose last part came this long ago without completing it, is removed.
pub const KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How often a replica looks for those.
const SWEEP_INTERVAL: Duration = Duration::from_secs(6 * 60 * 60);
/// The name of the object that says that an upload was removed. Behind all parts in a listing.
const REMOVED: &str = "removed";

/// Uploaded files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Uploads {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// What became of a part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The store has it.
    Kept,
    /// Somebody else's is there already.
    Taken,
}

/// An upload as the sweep sees it.
#[derive(Default)]
struct Found {
    bytes: u64,
    newest: Timestamp,
}

impl Uploads {
    /// Nothing is asked of the storage yet. Credentials are those of the environment.
    ///
    /// # Errors
    /// [`Error::Setup`] when the URL names no storage that can be opened.
    pub fn open(url: &str) -> Result<Self, Error> {
        let fault = |problem: String| Error::Setup(format!("imports.upload_url: {problem}"));
        let parsed = Url::parse(url).map_err(|error| fault(error.to_string()))?;
        let folder = Path::from_url_path(parsed.path()).map_err(|error| fault(error.to_string()))?;
        let opened: object_store::Result<Arc<dyn ObjectStore>> = match parsed.scheme() {
            "s3" => {
                let builder = AmazonS3Builder::from_env().with_url(url).with_retry(store::retry());
                builder
                    .with_http_connector(store::own()?)
                    .build()
                    .map(|s3| Arc::new(s3) as _)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env()
                    .with_url(url)
                    .with_retry(store::retry());
                builder
                    .with_http_connector(store::own()?)
                    .build()
                    .map(|gcs| Arc::new(gcs) as _)
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::from_env()
                    .with_url(url)
                    .with_retry(store::retry());
                builder
                    .with_http_connector(store::own()?)
                    .build()
                    .map(|azure| Arc::new(azure) as _)
            }
            "file" => Ok(Arc::new(LocalFileSystem::new().with_fsync(true)) as _),
            other => return Err(fault(format!("must begin with s3, gs, az or file, not {other}"))),
        };
        let store =
            opened.map_err(|_| fault("it cannot be opened with the credentials of the environment".to_owned()))?;
        Ok(Self { store, folder })
    }

    /// Bytes of an upload that have arrived, from its beginning on without a gap.
    ///
    /// # Errors
    /// As the storage says; [`Error::Missing`] when it was removed.
    pub async fn size_so_far(&self, account: AccountNumber, id: &str) -> Result<u64, Error> {
        Ok(self
            .parts(account, id)
            .await?
            .last()
            .map_or(0, |(start, bytes)| start + bytes))
    }

    /// The parts of an upload in their order, as one file.
    ///
    /// # Errors
    /// As [`size_so_far`](Self::size_so_far).
    pub async fn read(&self, account: AccountNumber, id: &str) -> Result<Body, Error> {
        let parts = self.parts(account, id).await?;
        let (uploads, id) = (self.clone(), id.to_owned());
        let pieces = stream::iter(parts).then(move |(start, _)| {
            let (store, path) = (Arc::clone(&uploads.store), uploads.part(account, &id, start));
            async move {
                let body = store::read_object(store, None, path.as_ref(), "").await;
                body.map(StreamReader::into_inner).map_err(std::io::Error::from)
            }
        });
        Ok(StreamReader::new(pieces.try_flatten().boxed()))
    }

    /// Removes what has arrived, and lets nothing more arrive.
    ///
    /// # Errors
    /// As the storage says; it may be called again.
    pub async fn remove(&self, account: AccountNumber, id: &str) -> Result<(), Error> {
        let mark = self.upload(account, id).join(REMOVED);
        let put = self.store.put_opts(&mark, Bytes::new().into(), PutOptions::default());
        within(put).await?.map_err(|error| told(&error))?;
        self.delete(account, id, |object| start(object).is_some()).await
    }

    /// Whether the next byte of an upload is the one at this offset. Of a long upload only its end is listed.
    ///
    /// # Errors
    /// As [`size_so_far`](Self::size_so_far).
    pub(crate) async fn ends_at(&self, account: AccountNumber, id: &str, offset: u64) -> Result<bool, Error> {
        // The part that ends there begins behind this.
        let behind = offset.checked_sub(PART_BYTES as u64 + 1);
        let behind = behind.map(|behind| self.part(account, id, behind));
        let mut objects = self.list(self.upload(account, id), behind);
        let mut end = 0;
        while let Some(object) = objects.try_next().await.map_err(|error| told(&error))? {
            match start(&object) {
                Some(start) => end = end.max(start + object.size),
                None if object.location.filename() == Some(REMOVED) => return Err(removed()),
                None => {}
            }
        }
        Ok(end == offset)
    }

    /// Writes a part.
    ///
    /// # Errors
    /// As the storage says. Then it may be there all the same.
    pub(crate) async fn append(
        &self,
        account: AccountNumber,
        id: &str,
        offset: u64,
        bytes: Bytes,
    ) -> Result<Appended, Error> {
        let path = self.part(account, id, offset);
        let put = self.store.put_opts(&path, bytes.into(), PutMode::Create.into());
        match within(put).await? {
            Ok(_) => Ok(Appended::Kept),
            Err(error) if store::is_taken(&error) => Ok(Appended::Taken),
            Err(error) => Err(told(&error)),
        }
    }

    /// Removes what nobody needs: of uploads whose job is gone (`size` is `None`), and of those that nothing has come of for
    /// [`KEPT`] and that are not complete. How many uploads that were.
    ///
    /// # Errors
    /// As the storage says; the next sweep goes on.
    pub(crate) async fn sweep(
        &self,
        now: Timestamp,
        size: impl Fn(AccountNumber, &str) -> Option<u64>,
    ) -> Result<usize, Error> {
        let mut uploads: HashMap<(AccountNumber, String), Found> = HashMap::new();
        let mut objects = self.list(self.folder.clone(), None);
        while let Some(object) = objects.try_next().await.map_err(|error| told(&error))? {
            let Some(upload) = self.upload_of(&object.location) else {
                continue;
            };
            let found = uploads.entry(upload).or_default();
            found.bytes += object.size;
            let modified = Timestamp::from_millisecond(object.last_modified.timestamp_millis());
            found.newest = found.newest.max(modified.unwrap_or(now));
        }
        let mut removed = 0;
        for ((account, id), found) in uploads {
            let is_old = now.duration_since(found.newest).unsigned_abs() > KEPT && found.newest < now;
            let is_needed = size(account, &id).is_some_and(|size| found.bytes == 0 || found.bytes >= size);
            if is_old && !is_needed {
                self.delete(account, &id, |_| true).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Where parts begin, and how long they are: without a gap, in their order.
    async fn parts(&self, account: AccountNumber, id: &str) -> Result<Vec<(u64, u64)>, Error> {
        let mut parts = Vec::new();
        let mut objects = self.list(self.upload(account, id), None);
        while let Some(object) = objects.try_next().await.map_err(|error| told(&error))? {
            match start(&object) {
                Some(start) => parts.push((start, object.size)),
                None if object.location.filename() == Some(REMOVED) => return Err(removed()),
                None => {}
            }
        }
        parts.sort_unstable();
        let mut end = 0;
        let joined = parts.iter().take_while(|(start, bytes)| {
            let joins = *start == end;
            end = start + bytes;
            joins
        });
        let joined = joined.count();
        parts.truncate(joined);
        Ok(parts)
    }

    fn list(&self, folder: Path, behind: Option<Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        match behind {
            Some(behind) => self.store.list_with_offset(Some(&folder), &behind),
            None => self.store.list(Some(&folder)),
        }
    }

    /// Deletes these objects of an upload.
    async fn delete(&self, account: AccountNumber, id: &str, which: fn(&ObjectMeta) -> bool) -> Result<(), Error> {
        let objects = self.list(self.upload(account, id), None);
        let objects = objects.try_filter(move |object| future::ready(which(object)));
        let mut deleted = self
            .store
            .delete_stream(objects.map_ok(|object| object.location).boxed());
        while let Some(deleted) = deleted.next().await {
            match deleted {
                Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(told(&error)),
            }
        }
        Ok(())
    }

    fn upload(&self, account: AccountNumber, id: &str) -> Path {
        self.folder.clone().join(account.to_string()).join(id.to_owned())
    }

    fn part(&self, account: AccountNumber, id: &str, offset: u64) -> Path {
        self.upload(account, id).join(format!("{offset:020}"))
    }

    /// Whose an object is.
    fn upload_of(&self, object: &Path) -> Option<(AccountNumber, String)> {
        let mut parts = object.prefix_match(&self.folder)?;
        let account = parts.next()?.as_ref().parse::<u64>().ok()?;
        Some((AccountNumber::new(account)?, parts.next()?.as_ref().to_owned()))
    }
}

/// Sweeps, now and then, at every replica: to remove twice is to remove.
pub(crate) async fn keep_clean(
    uploads: Uploads,
    directory: Directory,
    drain: CancellationToken,
) -> Result<(), Infallible> {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    while drain.run_until_cancelled(ticks.tick()).await.is_some() {
        // A table that does not know would make all of them look unneeded.
        if !directory.is_fresh() {
            continue;
        }
        let size = |account, id: &str| match directory.import_jobs().get(account, id) {
            Ok(job) if job.killed => None,
            Ok(ImportJob {
                source: ImportSource::Upload(file),
                ..
            }) => Some(file.size),
            Err(control::Error::NotFound(_)) => None,
            // Nobody knows.
            Ok(_) | Err(_) => Some(0),
        };
        match drain.run_until_cancelled(uploads.sweep(Timestamp::now(), size)).await {
            None | Some(Ok(0)) => {}
            Some(Ok(count)) => tracing::info!(count, "uploads that nobody needs were removed"),
            Some(Err(error)) => tracing::warn!(
                error = &error as &dyn std::error::Error,
                "uploads that nobody needs cannot be removed"
            ),
        }
    }
    Ok(())
}

/// The offset that a part begins at.
fn start(object: &ObjectMeta) -> Option<u64> {
    object.location.filename()?.parse().ok()
}

async fn within<T>(call: impl Future<Output = T>) -> Result<T, Error> {
    let call = tokio::time::timeout(store::CALL_MAX, call).await;
    call.map_err(|_| Error::late(store::CALL_MAX))
}

fn told(error: &object_store::Error) -> Error {
    Error::from_library(error, None, "the upload")
}

fn removed() -> Error {
    Error::Missing("the upload was removed".to_owned())
}

#[cfg(test)]
mod tests;
