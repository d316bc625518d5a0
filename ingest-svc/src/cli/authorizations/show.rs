//! How credentials for object storage are printed.

use proto::imports::v1 as wire;
use proto::imports::v1::storage_authorization::Storage;
use serde_json::{Value, json};

use crate::cli::imports::show::time;

/// One JSON object on one line.
pub(super) fn authorization(authorization: &wire::StorageAuthorization) -> String {
    json!({
        "name": authorization.name,
        "label": authorization.label,
        "description": authorization.description,
        "storage": authorization.storage.as_ref().map(storage),
        "create_time": time(authorization.create_time.as_ref()),
        "update_time": time(authorization.update_time.as_ref()),
        "revision": authorization.revision,
    })
    .to_string()
}

fn storage(storage: &Storage) -> Value {
    match storage {
        Storage::S3(s3) => json!({
            "kind": "s3", "bucket": s3.bucket, "region": s3.region, "access_key_id": s3.access_key_id, "endpoint": s3.endpoint,
        }),
        Storage::Gcs(gcs) => json!({ "kind": "gcs", "bucket": gcs.bucket, "endpoint": gcs.endpoint }),
        Storage::Azure(azure) => json!({
            "kind": "azure", "account": azure.account, "container": azure.container, "endpoint": azure.endpoint,
        }),
        Storage::Folder(folder) => json!({ "kind": "folder", "path": folder.path }),
    }
}
