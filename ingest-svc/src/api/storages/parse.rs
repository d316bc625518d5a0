//! What a request says of a storage authorization, or everything that is wrong with it.

use std::path::{Component, Path};

use control::{NewStorageAuthorization, Storage, StorageSecret, StorageSettings};
use model::text;
use prost_types::FieldMask;
use proto::imports::v1::StorageAuthorization;
use runtime::grpc::status::Violations;
use secrecy::{ExposeSecret, SecretString};
use tonic::Status;
use url::Url;

use crate::api::resource::{check, check_mask};
use crate::config::Imports;

/// Bytes of a secret. A service account's key of Google, the longest, has some 2,400.
const SECRET_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a path below the installation's folder.
const PATH_BYTES_MAX: usize = 1_024;
/// What an edit can change.
const FIELDS: [&str; 2] = ["label", "description"];

/// The authorization that a request asks to create, or everything that is wrong with it.
pub(super) fn parse(
    authorization: StorageAuthorization,
    secret: SecretString,
    imports: &Imports,
) -> Result<NewStorageAuthorization, Status> {
    let mut violations = Violations::new();
    check(
        &mut violations,
        "storage_authorization.label",
        text::label(&authorization.label),
    );
    check(
        &mut violations,
        "storage_authorization.description",
        text::description(&authorization.description),
    );
    let storage = authorization.storage.map(Storage::from_wire);
    let Some(storage) = storage else {
        violations.add("storage_authorization", "must have one of s3, gcs, azure and folder");
        violations.into_result()?;
        return Err(Status::internal("an authorization without storage had no violation"));
    };
    check_storage(&mut violations, &storage, imports);
    let secret = Some(secret).filter(|secret| !secret.expose_secret().is_empty());
    check(&mut violations, "secret", check_secret(&storage, secret.as_ref()));
    violations.into_result()?;
    if imports.folder.is_none() && !storage.needs_secret() {
        return Err(Status::failed_precondition(
            "this installation allows no folder: set imports.folder",
        ));
    }
    Ok(NewStorageAuthorization {
        label: authorization.label,
        description: authorization.description,
        storage,
        secret,
    })
}

/// The secret that takes the place of a storage's, or what is wrong with it.
pub(super) fn rotation(
    storage: &Storage,
    secret: SecretString,
    access_key_id: String,
) -> Result<StorageSecret, Status> {
    let mut violations = Violations::new();
    check(&mut violations, "secret", check_secret(storage, Some(&secret)));
    let access_key_id = Some(access_key_id).filter(|id| !id.is_empty());
    if let Some(id) = &access_key_id {
        let outcome = match storage {
            Storage::S3 { .. } => access_key(id),
            _ => Err("is of S3; leave it out"),
        };
        check(&mut violations, "access_key_id", outcome);
    }
    violations.into_result()?;
    Ok(StorageSecret { secret, access_key_id })
}

/// The edit that a request asks for.
pub(super) fn edit(authorization: &StorageAuthorization, mask: &FieldMask) -> Result<StorageSettings, Status> {
    let named = |field: &str, given: &String| {
        let is_named = match mask.paths.as_slice() {
            [] => !given.is_empty(),
            paths => paths.iter().any(|path| path == field),
        };
        is_named.then(|| given.clone())
    };
    let [label, description] = FIELDS;
    let edit = StorageSettings {
        label: named(label, &authorization.label),
        description: named(description, &authorization.description),
    };
    let mut violations = Violations::new();
    let is_empty = edit == StorageSettings::default();
    check_mask(&mut violations, &mask.paths, &FIELDS, "storage_authorization", is_empty);
    if let Some(label) = &edit.label {
        check(&mut violations, "storage_authorization.label", text::label(label));
    }
    if let Some(description) = &edit.description {
        let outcome = text::description(description);
        check(&mut violations, "storage_authorization.description", outcome);
    }
    violations.into_result()?;
    Ok(edit)
}

/// Names become parts of hosts and paths, so they are what the makers allow, and nothing else.
fn check_storage(violations: &mut Violations, storage: &Storage, imports: &Imports) {
    let mut wrong = |field: &str, outcome: Result<(), &'static str>| {
        check(violations, &format!("storage_authorization.{field}"), outcome);
    };
    match storage {
        Storage::S3 {
            bucket,
            region,
            access_key_id,
            endpoint,
        } => {
            let good = is_word(bucket, 3..=255, b"._-");
            wrong("s3.bucket", good.then_some(()).ok_or("must be the name of a bucket"));
            let good = is_word(region, 1..=64, b"-");
            wrong(
                "s3.region",
                good.then_some(()).ok_or("must be a region such as eu-central-1"),
            );
            wrong("s3.access_key_id", access_key(access_key_id));
            wrong("s3.endpoint", check_endpoint(endpoint.as_deref(), imports));
        }
        Storage::Gcs { bucket, endpoint } => {
            let good = is_word(bucket, 3..=222, b"._-");
            wrong("gcs.bucket", good.then_some(()).ok_or("must be the name of a bucket"));
            wrong("gcs.endpoint", check_endpoint(endpoint.as_deref(), imports));
        }
        Storage::Azure {
            account,
            container,
            endpoint,
        } => {
            let good = is_word(account, 3..=24, b"");
            wrong(
                "azure.account",
                good.then_some(()).ok_or("must be the name of a storage account"),
            );
            let good = is_word(container.strip_prefix('$').unwrap_or(container), 3..=63, b"-");
            wrong(
                "azure.container",
                good.then_some(()).ok_or("must be the name of a container"),
            );
            wrong("azure.endpoint", check_endpoint(endpoint.as_deref(), imports));
        }
        Storage::Folder { path } => wrong("folder.path", check_path(path)),
    }
}

/// ASCII letters, digits and `others`.
fn is_word(text: &str, bytes: std::ops::RangeInclusive<usize>, others: &[u8]) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || others.contains(&byte);
    bytes.contains(&text.len()) && text.bytes().all(good)
}

fn access_key(id: &str) -> Result<(), &'static str> {
    let good = (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    good.then_some(())
        .ok_or("must be the id of an access key, of 1 to 128 visible ASCII characters")
}

/// One that the installation allows: whoever could name any could send this service anywhere.
fn check_endpoint(endpoint: Option<&str>, imports: &Imports) -> Result<(), &'static str> {
    let Some(endpoint) = endpoint else { return Ok(()) };
    let same = |allowed: &String| match (Url::parse(allowed), Url::parse(endpoint)) {
        (Ok(allowed), Ok(given)) => allowed == given,
        _ => false,
    };
    imports
        .endpoints
        .iter()
        .any(same)
        .then_some(())
        .ok_or("is none that this installation allows: add it to imports.endpoints")
}

/// Below the installation's folder, however it is read.
fn check_path(path: &str) -> Result<(), &'static str> {
    let plain = |part| matches!(part, Component::Normal(_));
    let good = path.len() <= PATH_BYTES_MAX
        && !path.chars().any(|char| char.is_control() || char == '\\')
        && Path::new(path).components().all(plain);
    good.then_some(())
        .ok_or("must be a path below imports.folder, such as daily/users, without .. and a / at its beginning")
}

/// Never shows the secret.
fn check_secret(storage: &Storage, secret: Option<&SecretString>) -> Result<(), &'static str> {
    let secret = secret.map_or("", |secret| secret.expose_secret());
    if !storage.needs_secret() {
        return secret
            .is_empty()
            .then_some(())
            .ok_or("must be empty: a folder has none");
    }
    if secret.trim().is_empty() {
        return Err(match storage {
            Storage::S3 { .. } => "must not be blank: the secret access key",
            Storage::Gcs { .. } => "must not be blank: the JSON of a service account's key",
            _ => "must not be blank: the account's key",
        });
    }
    if secret.len() > SECRET_BYTES_MAX {
        return Err("must have at most 16 KiB (the secret is not shown here)");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
