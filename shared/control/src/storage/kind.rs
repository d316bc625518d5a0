//! What a storage authorization opens.

use proto::imports::v1 as wire;
use wire::storage_authorization::Storage as Wire;

/// A place in object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// Amazon S3, or what speaks its protocol. The secret is the secret access key.
    S3 {
        /// The bucket.
        bucket: String,
        /// Such as `eu-central-1`.
        region: String,
        /// Which key the secret belongs to.
        access_key_id: String,
        /// Of what is not Amazon's.
        endpoint: Option<String>,
    },
    /// Google Cloud Storage. The secret is the JSON of a service account's key.
    Gcs {
        /// The bucket.
        bucket: String,
        /// Of what is not Google's.
        endpoint: Option<String>,
    },
    /// Azure Blob Storage. The secret is the account's key.
    Azure {
        /// The storage account.
        account: String,
        /// The container.
        container: String,
        /// Of what is not Microsoft's.
        endpoint: Option<String>,
    },
    /// A folder that every replica has. There is no secret.
    Folder {
        /// Below the folder that the installation allows.
        path: String,
    },
}

impl Storage {
    /// Whether it needs a secret.
    pub fn needs_secret(&self) -> bool {
        !matches!(self, Self::Folder { .. })
    }

    /// The endpoint of what is not its first maker's.
    pub fn endpoint(&self) -> Option<&str> {
        match self {
            Self::S3 { endpoint, .. } | Self::Gcs { endpoint, .. } | Self::Azure { endpoint, .. } => {
                endpoint.as_deref()
            }
            Self::Folder { .. } => None,
        }
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> Wire {
        match self.clone() {
            Self::S3 {
                bucket,
                region,
                access_key_id,
                endpoint,
            } => Wire::S3(wire::S3Storage {
                bucket,
                region,
                access_key_id,
                endpoint: endpoint.unwrap_or_default(),
            }),
            Self::Gcs { bucket, endpoint } => Wire::Gcs(wire::GcsStorage {
                bucket,
                endpoint: endpoint.unwrap_or_default(),
            }),
            Self::Azure {
                account,
                container,
                endpoint,
            } => Wire::Azure(wire::AzureStorage {
                account,
                container,
                endpoint: endpoint.unwrap_or_default(),
            }),
            Self::Folder { path } => Wire::Folder(wire::FolderStorage { path }),
        }
    }

    /// As the contracts write it.
    pub fn from_wire(storage: Wire) -> Self {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        match storage {
            Wire::S3(s3) => Self::S3 {
                bucket: s3.bucket,
                region: s3.region,
                access_key_id: s3.access_key_id,
                endpoint: text(s3.endpoint),
            },
            Wire::Gcs(gcs) => Self::Gcs {
                bucket: gcs.bucket,
                endpoint: text(gcs.endpoint),
            },
            Wire::Azure(azure) => Self::Azure {
                account: azure.account,
                container: azure.container,
                endpoint: text(azure.endpoint),
            },
            Wire::Folder(folder) => Self::Folder { path: folder.path },
        }
    }
}
