//! Where the files of a job come from.

use proto::imports::v1 as wire;
use wire::import_source::Source;

/// Where files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportSource {
    /// Object storage.
    Storage(StorageFiles),
    /// A segment that Braze exports into object storage when it is asked to.
    SegmentExport(SegmentFiles),
    /// A file that somebody has uploaded.
    Upload(UploadedFile),
}

/// Files in object storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageFiles {
    /// Name of the storage authorization.
    pub authorization: String,
    /// What their keys begin with.
    pub prefix: String,
    /// A regular expression that the rest of a key matches from its beginning to its end. Empty: any.
    pub pattern: String,
}

/// The users of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentFiles {
    /// Name of the storage authorization of what Braze writes to.
    pub storage_authorization: String,
    /// Name of the authorization that Braze is asked with.
    pub authorization: String,
    /// Braze's id of the segment.
    pub segment_id: String,
    /// Names of Braze's `fields_to_export`.
    pub fields: Vec<String>,
    /// Custom attributes by name.
    pub custom_attributes: Vec<String>,
}

/// A file that was, or is being, uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadedFile {
    /// Last part of the upload's address.
    pub upload: String,
    /// What whoever uploads it calls it.
    pub file_name: String,
    /// Bytes of the whole file.
    pub size: u64,
}

impl ImportSource {
    /// Names of the authorizations that it needs, of storage and of Braze.
    pub fn authorizations(&self) -> Vec<&str> {
        match self {
            Self::Storage(files) => vec![&files.authorization],
            Self::SegmentExport(files) => vec![&files.storage_authorization, &files.authorization],
            Self::Upload(_) => Vec::new(),
        }
    }

    /// As the contracts write it.
    pub fn to_wire(&self) -> wire::ImportSource {
        let source = match self.clone() {
            Self::Storage(files) => Source::Storage(wire::StorageSource {
                authorization: files.authorization,
                prefix: files.prefix,
                pattern: files.pattern,
            }),
            Self::SegmentExport(files) => Source::SegmentExport(wire::SegmentExportSource {
                storage_authorization: files.storage_authorization,
                authorization: files.authorization,
                segment_id: files.segment_id,
                fields: files.fields,
                custom_attributes: files.custom_attributes,
            }),
            Self::Upload(file) => Source::Upload(wire::UploadSource {
                upload: file.upload,
                file_name: file.file_name,
                size: file.size,
            }),
        };
        wire::ImportSource { source: Some(source) }
    }

    /// As the contracts write it. `None`: of no kind that this version knows.
    pub fn from_wire(source: wire::ImportSource) -> Option<Self> {
        Some(match source.source? {
            Source::Storage(files) => Self::Storage(StorageFiles {
                authorization: files.authorization,
                prefix: files.prefix,
                pattern: files.pattern,
            }),
            Source::SegmentExport(files) => Self::SegmentExport(SegmentFiles {
                storage_authorization: files.storage_authorization,
                authorization: files.authorization,
                segment_id: files.segment_id,
                fields: files.fields,
                custom_attributes: files.custom_attributes,
            }),
            Source::Upload(file) => Self::Upload(UploadedFile {
                upload: file.upload,
                file_name: file.file_name,
                size: file.size,
            }),
        })
    }
}
