//! Section `imports`, and what it needs besides: keys and Braze.

use std::path::PathBuf;
use std::sync::Arc;

use control::sealing::Sealer;
use runtime::config::{Fault, Validate};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

/// Section `imports`.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Imports {
    /// Files of import jobs that a replica reads at once; further ones wait. Each holds up to 8 MiB of records. Default 4.
    pub files_max: usize,
    /// Where uploaded files are kept until they are read: `s3://bucket/prefix` with the credentials of the environment (`AWS_…`), `gs://…`,
    /// `az://…`, or `file:///folder` if every replica has that folder. Unset: nothing can be uploaded.
    pub upload_url: Option<String>,
    /// Pieces of files that are uploaded to a replica at once, and other requests about uploads; one more is answered 503. Each holds up to
    /// 8 MiB. Default 4.
    pub uploads_max: usize,
    /// The folder that storage authorizations of the kind `folder` may lie in. Unset: there are none.
    pub folder: Option<PathBuf>,
    /// Endpoints that storage authorizations may name besides those of Amazon, Google and Microsoft, such as `https://minio.example.com`: who
    /// may make one could else send this service anywhere. Default none.
    pub endpoints: Vec<String>,
}

/// Section `secrets`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Secrets {
    /// Keys that seal the secrets of storage authorizations before they reach Kafka, and open Braze's: the same as export-svc's `secrets.keys`.
    /// Empty: there are no storage authorizations that need a secret, and no segment exports.
    pub keys: SecretString,
}

impl Secrets {
    /// What seals and opens secrets; `None` without keys.
    pub fn sealer(&self) -> Option<Arc<Sealer>> {
        Sealer::from_config(&self.keys).ok().map(Arc::new)
    }
}

/// Section `braze`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Braze {
    /// Replaces the REST endpoint of every Braze instance, for tests and local runs: `http://localhost:8099`. Unset: each
    /// authorization's own instance.
    pub endpoint: Option<String>,
}

impl Default for Imports {
    fn default() -> Self {
        Self {
            files_max: 4,
            upload_url: None,
            uploads_max: 4,
            folder: None,
            endpoints: Vec::new(),
        }
    }
}

impl Validate for Imports {
    fn faults(&self, out: &mut Vec<Fault>) {
        if self.files_max == 0 {
            out.push(Fault::new("imports.files_max", "must be at least 1"));
        }
        if self.uploads_max == 0 {
            out.push(Fault::new("imports.uploads_max", "must be at least 1"));
        }
        if self.upload_url.as_deref().is_some_and(|url| Url::parse(url).is_err()) {
            let problem = "must be a URL such as s3://bucket/prefix or file:///folder";
            out.push(Fault::new("imports.upload_url", problem));
        }
        if self.folder.as_deref().is_some_and(|folder| !folder.is_absolute()) {
            out.push(Fault::new("imports.folder", "must be an absolute path"));
        }
        if self.endpoints.iter().any(|endpoint| !is_endpoint(endpoint)) {
            let problem = "must be http or https URLs without a path, such as https://minio.example.com";
            out.push(Fault::new("imports.endpoints", problem));
        }
    }
}

impl Validate for Secrets {
    fn faults(&self, out: &mut Vec<Fault>) {
        if self.keys.expose_secret().is_empty() {
            return;
        }
        if let Err(error) = Sealer::from_config(&self.keys) {
            out.push(Fault::new("secrets.keys", error.to_string()));
        }
    }
}

impl Validate for Braze {
    fn faults(&self, out: &mut Vec<Fault>) {
        if self.endpoint.as_deref().is_some_and(|endpoint| !is_endpoint(endpoint)) {
            let problem = "must be an http or https URL without a path, such as http://localhost:8099";
            out.push(Fault::new("braze.endpoint", problem));
        }
    }
}

/// Scheme, host and port, and nothing else.
fn is_endpoint(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.has_host()
            && matches!(url.path(), "" | "/")
            && url.query().is_none()
            && url.fragment().is_none()
            && url.username().is_empty()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(section: &impl Validate) -> Vec<String> {
        let mut out = Vec::new();
        section.faults(&mut out);
        out.into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn what_cannot_be_is_named() {
        let wrong = Imports {
            files_max: 0,
            uploads_max: 0,
            upload_url: Some("folder".to_owned()),
            folder: Some("folder".into()),
            endpoints: vec!["https://minio.example.com".to_owned(), "minio:9000/x".to_owned()],
        };
        let keys =
            ["files_max", "uploads_max", "upload_url", "folder", "endpoints"].map(|key| format!("imports.{key}"));
        assert_eq!(faults(&wrong), keys);
        assert_eq!(faults(&Imports::default()), [""; 0]);
        let keys = Secrets {
            keys: "k1:short".into(),
        };
        assert_eq!(faults(&keys), ["secrets.keys"]);
        assert_eq!(faults(&Secrets::default()), [""; 0]);
        for endpoint in ["http://u@h", "http://h/p", "ftp://h", "h:1"] {
            let endpoint = Some(endpoint.to_owned());
            assert_eq!(faults(&Braze { endpoint }), ["braze.endpoint"]);
        }
    }
}
