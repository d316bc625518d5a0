//! The beginning of an upload, which makes its import job.

use control::{ImportSource, NewImportJob, UploadedFile};
use http::{HeaderName, HeaderValue, StatusCode, header};
use jiff::Timestamp;
use model::AccountNumber;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::super::Parts;
use super::super::refused::Refused;
use super::metadata::Metadata;
use super::{Done, LENGTH, Sender, number, of_control, refused, stands};
use crate::uploads::SIZE_MAX;

const METADATA: HeaderName = HeaderName::from_static("upload-metadata");

/// 201 with the address of the upload and the name of its job.
pub(super) async fn create(parts: &Parts, sender: &Sender, account: AccountNumber) -> Result<Done, Refused> {
    let size = number(&sender.headers, &LENGTH).ok_or_else(|| {
        let message = "say how many bytes the file has: `Upload-Length`";
        refused(StatusCode::BAD_REQUEST, "upload_length", message)
    })?;
    if size > SIZE_MAX {
        let message = format!("a file may have at most {SIZE_MAX} bytes");
        return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "upload_length", message));
    }
    let metadata = sender
        .headers
        .get(METADATA)
        .map_or(b"".as_slice(), HeaderValue::as_bytes);
    let metadata = Metadata::read(metadata).map_err(|problem| {
        let message = format!("Upload-Metadata: {problem}");
        refused(StatusCode::BAD_REQUEST, "upload_metadata", message)
    })?;
    let now = Timestamp::now();
    let id = control::new_id(now);
    let new = NewImportJob {
        // One may be uploaded again under the same name.
        label: metadata.label.unwrap_or_else(|| format!("{} {id}", metadata.file_name)),
        description: String::new(),
        stream: sender.stream.clone(),
        source: ImportSource::Upload(UploadedFile {
            upload: id.clone(),
            file_name: metadata.file_name,
            size,
        }),
        format: metadata.format,
        schedule: None,
        drop_errors: metadata.drop_errors,
        skip_bad_files: false,
        diff: false,
    };
    let job = parts
        .directory
        .import_jobs()
        .create_upload(account, &id, new, now)
        .await;
    let job = job.map_err(|error| of_control(&error))?;
    let stream = utf8_percent_encode(&sender.stream, NON_ALPHANUMERIC);
    let location = HeaderValue::try_from(format!("/files/{account}/{stream}/{id}"));
    let mut done = stands(StatusCode::CREATED, &job, 0);
    done.headers
        .extend(location.map(|location| (header::LOCATION, location)));
    Ok(done)
}
