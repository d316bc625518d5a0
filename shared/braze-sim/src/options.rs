//! What a simulator is started with: where it listens, its keys, and the settings of the Braze it plays.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::settings::Settings;
use crate::storage::Storage;

/// The workspace of a key that names none.
pub const DEFAULT_WORKSPACE: &str = "default";

/// The permissions of the endpoints that the simulator serves (reference §1.1).
pub const PERMISSIONS: [&str; 4] = [
    "users.track",
    "users.export.ids",
    "users.export.segment",
    "segments.list",
];

/// How to start a simulator: see [`Sim::start`](crate::Sim::start).
#[derive(Debug, Clone)]
pub struct Options {
    /// Where the REST API and the admin API listen; port 0 asks for a free one.
    pub listen: SocketAddr,
    /// The REST API keys that are known from the start.
    pub keys: Vec<Key>,
    /// The rules that differ between contracts and the figures of this Braze.
    pub settings: Settings,
    /// Seed of every random choice (fault rates, reordering); the same seed chooses the same.
    pub seed: u64,
    /// Speaks TLS with this certificate; plain HTTP without one.
    pub tls: Option<Tls>,
    /// Where segment exports are written; without one they are fetched from the simulator.
    pub storage: Option<Storage>,
}

/// A certificate and its private key, each as DER (the key as PKCS #8).
#[derive(Clone)]
pub struct Tls {
    /// What clients must trust.
    pub certificate: Vec<u8>,
    /// What belongs to it.
    pub key: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Default for Options {
    /// A free port on the loopback interface, the one key `sim-key`, newest Braze rules.
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            keys: vec![Key::new("sim-key")],
            settings: Settings::default(),
            seed: 1,
            tls: None,
            storage: None,
        }
    }
}

/// One REST API key: it belongs to one workspace and holds a fixed set of permissions (reference §1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Key {
    /// What a client sends after `Authorization: Bearer `.
    pub key: String,
    /// The workspace whose users and rate limits the key reaches.
    #[serde(default = "default_workspace")]
    pub workspace: String,
    /// Names such as `users.track`.
    #[serde(default = "all_permissions")]
    pub permissions: Vec<String>,
    /// The addresses that may use the key; empty = any.
    #[serde(default)]
    pub sources: Vec<IpAddr>,
}

impl Key {
    /// A key of the default workspace with every permission that the simulator knows, usable from any address.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            workspace: default_workspace(),
            permissions: all_permissions(),
            sources: Vec::new(),
        }
    }

    /// The same key in another workspace.
    #[must_use]
    pub fn in_workspace(self, workspace: impl Into<String>) -> Self {
        Self {
            workspace: workspace.into(),
            ..self
        }
    }

    /// The same key with these permissions only.
    #[must_use]
    pub fn with_permissions<P: Into<String>>(self, permissions: impl IntoIterator<Item = P>) -> Self {
        Self {
            permissions: permissions.into_iter().map(Into::into).collect(),
            ..self
        }
    }
}

pub(crate) fn default_workspace() -> String {
    DEFAULT_WORKSPACE.to_owned()
}

fn all_permissions() -> Vec<String> {
    PERMISSIONS.map(str::to_owned).to_vec()
}
