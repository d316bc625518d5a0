use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Endpoint;

/// A connection that adds the token and the trace context to every call. Cheap to clone.
pub type Channel = InterceptedService<tonic::transport::Channel, Attach>;

/// Adds `authorization: Bearer …` and the current span's `traceparent` to a call.
#[derive(Debug, Clone)]
pub struct Attach {
    authorization: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Attach {
    fn call(&mut self, mut request: tonic::Request<()>) -> Result<tonic::Request<()>, tonic::Status> {
        if let Some(value) = &self.authorization {
            request.metadata_mut().insert("authorization", value.clone());
        }
        crate::trace::inject_metadata(&crate::trace::current(), request.metadata_mut());
        Ok(request)
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The endpoint is not a URL we can use.
    #[error("{endpoint} is not an endpoint: {problem}")]
    Endpoint {
        /// The endpoint as given.
        endpoint: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The token cannot be sent in a header. Its text is not shown.
    #[error("the token holds characters that cannot be sent")]
    Token,
    /// Nobody answers there.
    #[error("nothing answers at {endpoint}: {problem}")]
    Unreachable {
        /// The endpoint as given.
        endpoint: String,
        /// What the system said.
        problem: String,
    },
}

/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to `endpoint` (for example `http://localhost:8091`); calls carry `token` if there is one.
///
/// # Errors
/// When the endpoint is not an `http` URL, the token cannot be sent, or nothing answers within 5 s.
pub async fn connect(endpoint: &str, token: Option<&SecretString>) -> Result<Channel, ConnectError> {
    let not_an_endpoint = |problem: &str| ConnectError::Endpoint {
        endpoint: endpoint.to_owned(),
        problem: problem.to_owned(),
    };
    let target = Endpoint::from_shared(endpoint.to_owned()).map_err(|_| not_an_endpoint("not a URL"))?;
    if target.uri().scheme_str() != Some("http") {
        return Err(not_an_endpoint("it must begin with http://"));
    }
    let authorization = token.map(bearer).transpose()?;
    let channel = target
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .connect()
        .await
        .map_err(|error| ConnectError::Unreachable {
            endpoint: endpoint.to_owned(),
            problem: innermost(&error),
        })?;
    Ok(InterceptedService::new(channel, Attach { authorization }))
}

fn bearer(token: &SecretString) -> Result<MetadataValue<Ascii>, ConnectError> {
    let text = Zeroizing::new(format!("Bearer {}", token.expose_secret()));
    let mut value = MetadataValue::try_from(text.as_str()).map_err(|_| ConnectError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// The transport wraps "connection refused" several times in words that say less.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_cannot_work_is_refused_before_connecting() {
        for endpoint in ["https://localhost:1", "localhost:1", "", "http://"] {
            let error = connect(endpoint, None).await.unwrap_err();
            assert!(matches!(error, ConnectError::Endpoint { .. }), "{endpoint}: {error}");
        }
    }

    #[tokio::test]
    async fn a_token_that_cannot_be_sent_is_refused_and_not_shown() {
        let error = connect("http://localhost:1", Some(&SecretString::from("hun\nter2")))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::Token));
        assert!(!format!("{error:?}").contains("ter2"));
        let attach = Attach {
            authorization: Some(bearer(&SecretString::from("hunter2")).unwrap()),
        };
        assert!(!format!("{attach:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn an_endpoint_where_nothing_listens_is_named_with_the_reason() {
        // Port 1 (tcpmux) is nobody's.
        let error = connect("http://127.0.0.1:1", None).await.unwrap_err().to_string();
        assert!(error.starts_with("nothing answers at http://127.0.0.1:1: "), "{error}");
        assert!(error.to_lowercase().contains("refused"), "{error}");
    }
}
