//! Where segment exports are written: the customer's object storage (reference §5.3).

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;
use object_store::local::LocalFileSystem;

/// The object storage of the Braze that is played.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A folder of this machine, made if it is not there; the keys are paths in it.
    Folder(PathBuf),
    /// A bucket that speaks S3's protocol.
    S3(Bucket),
}

/// A bucket and the key that may write to it.
#[derive(Clone)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Such as `http://localhost:9000`; absent = Amazon's, by the region.
    pub endpoint: Option<String>,
    /// Such as `us-east-1`.
    pub region: String,
    /// The key's id.
    pub access_key_id: String,
    /// The key.
    pub secret_access_key: String,
}

impl fmt::Debug for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bucket")
            .field("name", &self.name)
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// Nothing is asked of a bucket yet.
    pub(crate) fn open(self) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
        match self {
            Self::Folder(folder) => {
                std::fs::create_dir_all(&folder).map_err(|source| object_store::Error::Generic {
                    store: "folder",
                    source: source.into(),
                })?;
                Ok(Arc::new(LocalFileSystem::new_with_prefix(folder)?))
            }
            Self::S3(bucket) => {
                let mut builder = AmazonS3Builder::new()
                    .with_bucket_name(bucket.name)
                    .with_region(bucket.region)
                    .with_access_key_id(bucket.access_key_id)
                    .with_secret_access_key(bucket.secret_access_key);
                if let Some(endpoint) = bucket.endpoint {
                    builder = builder
                        .with_allow_http(endpoint.starts_with("http://"))
                        .with_endpoint(endpoint);
                }
                Ok(Arc::new(builder.build()?))
            }
        }
    }
}
