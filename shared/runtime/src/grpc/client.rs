use secrecy::SecretString;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;

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

/// Connects to `endpoint` (for example `http://localhost:8091`); calls carry `token` if there is one.
///
/// # Errors
/// See [`ConnectError`].
pub async fn connect(_endpoint: &str, _token: Option<&SecretString>) -> Result<Channel, ConnectError> {
    unimplemented!()
}
