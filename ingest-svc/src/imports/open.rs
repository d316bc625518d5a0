//! Opens what a job's files are in.

use control::{Directory, ImportJob, ImportSource, UploadedFile};
use model::name;
use tokio::io::AsyncRead;

use super::plan::Trouble;
use crate::config;
use crate::store::{self, Store};
use crate::uploads::Uploads;

/// The bytes of a file.
pub(super) type Source = Box<dyn AsyncRead + Send + Unpin>;

/// Where files come from, with what it takes to open it. Cheap to clone.
#[derive(Clone)]
pub(super) struct Opener {
    pub(super) directory: Directory,
    /// Opens secrets; `None`: there are no keys.
    pub(super) sealer: Option<std::sync::Arc<control::sealing::Sealer>>,
    /// `None`: nothing can be uploaded here.
    pub(super) uploads: Option<Uploads>,
    pub(super) config: config::Imports,
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// It has gone, or is another one now.
    #[error("{0}")]
    Gone(String),
    /// It cannot be read now.
    #[error("{1}")]
    Trouble(Trouble, String),
}

impl Opener {
    /// The storage that a job's files are in.
    pub(super) fn store(&self, job: &ImportJob) -> Result<Store, Error> {
        let authorization = match &job.source {
            ImportSource::Storage(files) => &files.authorization,
            ImportSource::SegmentExport(files) => &files.storage_authorization,
            ImportSource::Upload(_) => return Err(refused("uploaded files are not in a storage of the account")),
        };
        let (account, id) = name::child(authorization, name::STORAGE_AUTHORIZATIONS).map_err(refused)?;
        let authorization = self.directory.storage_authorizations().get(account, id);
        let authorization = authorization.map_err(|error| match error {
            control::Error::Unavailable(_) => Error::Trouble(Trouble::Outage, error.to_string()),
            error => refused(error),
        })?;
        let secret = match &self.sealer {
            Some(sealer) => authorization.secret(sealer).map_err(refused)?,
            None if authorization.has_secret() => {
                return Err(refused(
                    "its secret cannot be opened: set secrets.keys as it was when it was created",
                ));
            }
            None => None,
        };
        Store::open(&authorization.storage, secret, &self.config).map_err(Error::from)
    }

    /// Bytes of an uploaded file that have arrived.
    pub(super) async fn arrived(&self, job: &ImportJob, file: &UploadedFile) -> Result<u64, Error> {
        Ok(self.uploads()?.size_so_far(job.account, &file.upload).await?)
    }

    fn uploads(&self) -> Result<&Uploads, Error> {
        let uploads = self.uploads.as_ref();
        uploads
            .ok_or_else(|| refused("uploads are not kept here: set imports.upload_url as it was when it was uploaded"))
    }

    /// The bytes of a file as it was listed.
    pub(super) async fn file(&self, job: &ImportJob, key: &str, etag: &str) -> Result<Source, Error> {
        if let ImportSource::Upload(file) = &job.source {
            return Ok(Box::new(self.uploads()?.read(job.account, &file.upload).await?));
        }
        let body = self.store(job)?.read(key, etag).await.map_err(|error| match error {
            // The file, not its bucket: that was there when it was listed.
            store::Error::Missing(_) => Error::Gone("it has gone from its storage".to_owned()),
            error => Error::from(error),
        })?;
        Ok(Box::new(body))
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Changed(_) => Self::Gone("it has changed since it was found".to_owned()),
            error if error.is_temporary() => Self::Trouble(Trouble::Outage, error.to_string()),
            error => Self::Trouble(Trouble::Refusal, error.to_string()),
        }
    }
}

fn refused(why: impl ToString) -> Error {
    Error::Trouble(Trouble::Refusal, why.to_string())
}

/// What a storage lists.
pub(super) fn found(object: store::Object) -> super::plan::Found {
    super::plan::Found {
        key: object.key,
        etag: object.etag,
        size: object.size,
        modified: object.modified,
    }
}
