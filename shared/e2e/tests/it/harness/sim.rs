//! The Braze simulator, and its admin API.

use std::ffi::OsStr;
use std::net::SocketAddr;

use serde_json::Value;

use super::http;
use super::process::Process;

/// A running simulator.
pub(crate) struct Sim {
    _process: Process,
    address: SocketAddr,
}

impl Sim {
    /// Starts one that knows one key.
    pub(crate) async fn start(key: &str) -> Self {
        Self::serve(&["serve", "--listen", "127.0.0.1:0"], [("BRAZE_SIM_KEYS", key)]).await
    }

    /// Starts one with these arguments and environment.
    pub(crate) async fn serve<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        arguments: &[&str],
        environment: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let process = Process::start("braze-sim", arguments, environment);
        let address = process.address("listens on http://").await;
        Self {
            _process: process,
            address,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    async fn ask(&self, method: &str, path: &str, body: &Value) -> http::Answer {
        let (path, headers) = (format!("/_sim/{path}"), ["content-type: application/json"]);
        http::send(self.address, method, &path, &headers, body.to_string().as_bytes()).await
    }

    async fn tell(&self, path: &str, body: &Value) {
        let answer = self.ask("POST", path, body).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// Holds the next call until [`Sim::release`].
    pub(crate) async fn hold_next(&self) {
        let fault = serde_json::json!({ "kind": "hold", "next": 1 });
        self.tell("faults", &fault).await;
    }

    pub(crate) async fn release(&self) {
        self.tell("faults/release", &Value::Null).await;
    }

    /// Every call is answered with this status, until [`Sim::clear_faults`].
    pub(crate) async fn fail(&self, status: u16) {
        let fault = serde_json::json!({ "kind": "status", "status": status });
        self.tell("faults", &fault).await;
    }

    pub(crate) async fn clear_faults(&self) {
        let answer = self.ask("DELETE", "faults", &Value::Null).await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// From now on the key gets 401, and the answer echoes it.
    pub(crate) async fn reject(&self, key: &str) {
        self.tell("keys/reject", &serde_json::json!({ "key": key })).await;
    }

    /// The calls so far, oldest first.
    pub(crate) async fn calls(&self) -> Vec<Value> {
        let journal = self.ask("GET", "journal", &Value::Null).await.json();
        journal["calls"].as_array().unwrap().clone()
    }

    /// Whom the attribute objects of all calls so far were about, in order, each as often as it was sent. A call that only asks
    /// whether Braze takes a key has none, nor has one that was given up before its body was sent.
    pub(crate) async fn sent(&self) -> Vec<String> {
        let bodies = self.calls().await;
        let bodies = bodies.iter().map(|call| call["body"].as_str().unwrap());
        let objects = bodies.flat_map(|body| {
            let body: Value = match body {
                "" => Value::Null,
                body => serde_json::from_str(body).unwrap(),
            };
            body["attributes"].as_array().cloned().unwrap_or_default()
        });
        objects
            .map(|object| object["external_id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// The slugs of a user's `lytics_segments`; `None` without such a user.
    pub(crate) async fn segments(&self, external_id: &str) -> Option<Vec<String>> {
        let path = format!("users/lookup?external_id={external_id}");
        let answer = self.ask("GET", &path, &Value::Null).await;
        let user = (answer.status == 200).then(|| answer.json())?;
        let slugs = user["custom_attributes"]["lytics_segments"].as_array();
        let slugs = slugs
            .into_iter()
            .flatten()
            .map(|slug| slug.as_str().unwrap().to_owned());
        Some(slugs.collect())
    }

    /// Whether a user has exactly these slugs, in any order.
    pub(crate) async fn tagged(&self, external_id: &str, slugs: &[&str]) -> bool {
        let mut found = self.segments(external_id).await.unwrap_or_default();
        found.sort();
        let mut slugs = slugs.to_vec();
        slugs.sort_unstable();
        found == slugs
    }
}
