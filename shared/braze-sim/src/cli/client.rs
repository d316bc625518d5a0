//! The client side of the admin API.

use std::fmt;
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take beyond what the request itself waits.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Why a command failed, in words for its user.
#[derive(Debug)]
pub(super) struct Failure(String);

impl Failure {
    pub(super) fn new(text: impl fmt::Display) -> Self {
        Self(text.to_string())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) struct Client {
    http: reqwest::Client,
    base: reqwest::Url,
}

impl Client {
    pub(super) fn new(endpoint: &str) -> Result<Self, Failure> {
        let base = format!("{}/_sim/", endpoint.trim_end_matches('/'));
        let base = base
            .parse()
            .map_err(|error| Failure::new(format!("--endpoint {endpoint:?}: {error}")))?;
        let http = reqwest::Client::builder().no_proxy().build().map_err(Failure::new)?;
        Ok(Self { http, base })
    }

    /// Asks for `path`; the simulator may take `wait` to answer.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)], wait: Duration) -> Result<Value, Failure> {
        let mut url = self.url(path)?;
        url.query_pairs_mut().extend_pairs(query);
        self.answer(self.http.get(url).timeout(wait + TIMEOUT)).await
    }

    pub(super) async fn send(&self, method: http::Method, path: &str, body: &Value) -> Result<Value, Failure> {
        self.answer(self.http.request(method, self.url(path)?).timeout(TIMEOUT).json(body))
            .await
    }

    fn url(&self, path: &str) -> Result<reqwest::Url, Failure> {
        self.base.join(path).map_err(Failure::new)
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<Value, Failure> {
        let unreachable = |error: reqwest::Error| {
            let hint = if error.is_connect() {
                " (is it running? start it with: braze-sim serve)"
            } else {
                ""
            };
            Failure::new(format!(
                "no answer from the simulator at {}{hint}: {error}",
                self.base.authority()
            ))
        };
        let response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let body = response.bytes().await.map_err(unreachable)?;
        let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(value);
        }
        let text = value.get("message").and_then(Value::as_str).map(str::to_owned);
        Err(Failure(text.unwrap_or_else(|| {
            format!("the simulator answered {status}: {}", String::from_utf8_lossy(&body))
        })))
    }
}
