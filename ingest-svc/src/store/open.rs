//! From what is said of a storage to a client for it. Whatever becomes part of an address is checked here.

use std::time::Duration;

use control::Storage;
use http::HeaderValue;
use object_store::aws::AmazonS3Builder;
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::{BackoffConfig, RetryConfig};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use url::Url;

use super::error::Error;
use super::folder::Folder;
use super::http::{Connector, Way};
use super::{Bucket, Place};
use crate::config::Imports;

const GOOGLE: &str = "https://storage.googleapis.com";

pub(super) fn open(storage: &Storage, secret: Option<&SecretString>, imports: &Imports) -> Result<Place, Error> {
    let bucket: Arc<dyn Bucket> = match storage {
        Storage::S3 {
            bucket,
            region,
            access_key_id,
            endpoint,
        } => {
            is_name("bucket", bucket)?;
            is_name("region", region)?;
            is_header("access_key_id", access_key_id)?;
            let (endpoint, way) = listed(endpoint.as_deref(), imports)?;
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region)
                .with_access_key_id(access_key_id)
                .with_secret_access_key(needed(secret, "the secret access key")?)
                .with_http_connector(Connector::new(way)?)
                .with_retry(retry());
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            Arc::new(
                builder
                    .build()
                    .map_err(|_| setup("the bucket, the region or the key is none of S3"))?,
            )
        }
        Storage::Gcs { bucket, endpoint } => {
            is_name("bucket", bucket)?;
            let (endpoint, way) = listed(endpoint.as_deref(), imports)?;
            let builder = GoogleCloudStorageBuilder::new()
                .with_bucket_name(bucket)
                .with_service_account_key(needed(secret, "the JSON of a service account's key")?)
                // Not where the key says.
                .with_base_url(endpoint.as_deref().unwrap_or(GOOGLE))
                .with_http_connector(Connector::new(way)?)
                .with_retry(retry());
            Arc::new(
                builder
                    .build()
                    .map_err(|_| setup("the secret is not the JSON of a service account's key"))?,
            )
        }
        Storage::Azure {
            account,
            container,
            endpoint,
        } => {
            is_name("account", account)?;
            is_name("container", container)?;
            let (endpoint, way) = listed(endpoint.as_deref(), imports)?;
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(account)
                .with_container_name(container)
                .with_access_key(needed(secret, "the account's key")?)
                .with_config(AzureConfigKey::CredentialType, "access_key")
                .with_http_connector(Connector::new(way)?)
                .with_retry(retry());
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(of_account(&endpoint, account));
            }
            Arc::new(
                builder
                    .build()
                    .map_err(|_| setup("the secret is not the key of a storage account"))?,
            )
        }
        Storage::Folder { path } => {
            let allowed = imports.folder.as_deref();
            let allowed = allowed.ok_or_else(|| setup("folders are not allowed here: imports.folder is not set"))?;
            return Ok(Place::Folder(Folder::new(allowed, path)?));
        }
    };
    Ok(Place::Bucket(bucket))
}

/// A few tries, as long as somebody waits.
pub(crate) fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            base: 2.0,
        },
        max_retries: 4,
        retry_timeout: Duration::from_secs(45),
    }
}

fn setup(problem: impl Into<String>) -> Error {
    Error::Setup(problem.into())
}

fn needed<'a>(secret: Option<&'a SecretString>, what: &str) -> Result<&'a str, Error> {
    let secret = secret
        .map(|secret| secret.expose_secret())
        .filter(|secret| !secret.is_empty());
    secret.ok_or_else(|| setup(format!("the secret is missing: {what}")))
}

/// The endpoint as the installation lists it, and the way there.
fn listed(endpoint: Option<&str>, imports: &Imports) -> Result<(Option<String>, Way), Error> {
    let Some(endpoint) = endpoint else {
        return Ok((None, Way::Public));
    };
    let origin = |url: &str| {
        Url::parse(url)
            .ok()
            .map(|url| url.origin())
            .filter(url::Origin::is_tuple)
    };
    let wanted = origin(endpoint).map(|origin| origin.ascii_serialization());
    let listed = imports.endpoints.iter().filter_map(|listed| origin(listed));
    let mut listed = listed.map(|origin| origin.ascii_serialization());
    let found = listed.find(|listed| Some(listed) == wanted.as_ref() && *listed == endpoint.trim_end_matches('/'));
    let found = found.ok_or_else(|| {
        setup("endpoint: it is not one that the installation allows; whoever runs it lists those in imports.endpoints")
    })?;
    let plain = found.starts_with("http://");
    Ok((Some(found), Way::Listed { plain }))
}

/// Where one account is at an endpoint: in the host, or else, as of emulators, in the path.
fn of_account(endpoint: &str, account: &str) -> String {
    let in_host = Url::parse(endpoint).is_ok_and(|url| {
        let host = url.host_str().unwrap_or_default();
        host.strip_prefix(account).is_some_and(|rest| rest.starts_with('.'))
    });
    if in_host {
        endpoint.to_owned()
    } else {
        format!("{endpoint}/{account}")
    }
}

/// What may stand in the host or the path of an address without becoming another one.
fn is_name(field: &str, name: &str) -> Result<(), Error> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._$".contains(&byte);
    let fits = (1..=255).contains(&name.len()) && name.bytes().all(known) && !name.contains("..") && name != ".";
    if fits {
        return Ok(());
    }
    Err(setup(format!(
        "{field}: it must be 1 to 255 letters, digits, `-`, `.`, `_`"
    )))
}

fn is_header(field: &str, value: &str) -> Result<(), Error> {
    let fits = (1..=128).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
    if fits && HeaderValue::from_str(value).is_ok() {
        return Ok(());
    }
    Err(setup(format!("{field}: it must be 1 to 128 visible characters")))
}
