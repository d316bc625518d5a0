//! The HTTP client of the stores, which reads of a refusal what may be shown, and nothing else.

use std::pin::Pin;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::redirect;

use super::error::{Answer, Error};

const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may stand still.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// A connection that was idle this long is not used again.
const UNUSED_MAX: Duration = Duration::from_secs(30);
/// Bytes of a refusal that we read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// How a storage is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Where its maker has it.
    Public,
    /// At an endpoint that the installation lists, over TLS or not.
    Listed { plain: bool },
    /// As the environment says: what is the installation's own.
    Own,
}

/// Gives every store the client that it holds, whatever the library would like.
#[derive(Debug)]
pub(super) struct Connector(Client);

#[derive(Debug, Clone)]
struct Client(reqwest::Client);

impl Connector {
    pub(super) fn new(way: Way) -> Result<Self, Error> {
        // What is stored compressed comes as it is stored: Google would unpack it, and then has neither its size nor its ETag.
        let as_stored = (header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("lytics-braze/", env!("CARGO_PKG_VERSION")))
            .default_headers(HeaderMap::from_iter([as_stored]))
            .no_gzip()
            .connect_timeout(CONNECT_MAX)
            .read_timeout(IDLE_MAX)
            .pool_idle_timeout(UNUSED_MAX)
            .http1_only()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .https_only(matches!(way, Way::Public | Way::Listed { plain: false }));
        if matches!(way, Way::Listed { .. }) {
            builder = builder.no_proxy();
        }
        let client = builder.build();
        let client =
            client.map_err(|_| Error::Setup("no HTTP client can be made: no certificates to trust".to_owned()))?;
        Ok(Self(Client(client)))
    }
}

/// For the installation's own storage.
pub(crate) fn own() -> Result<impl HttpConnector, Error> {
    Connector::new(Way::Own)
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

impl HttpService for Client {
    // As `async_trait` spells it.
    fn call<'a, 'call>(
        &'a self,
        request: HttpRequest,
    ) -> Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'call>>
    where
        'a: 'call,
        Self: 'call,
    {
        Box::pin(async move {
            let response = self.0.call(request).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            let words = words(response.into_body()).await;
            // The library tries again after the first kind, and not after the second.
            let kind = if is_passing(status) {
                HttpErrorKind::Request
            } else {
                HttpErrorKind::Unknown
            };
            Err(HttpError::new(kind, Answer { status, words }))
        })
    }
}

fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT].contains(&status)
}

/// Code and message of a refusal, which is XML at all three makers.
async fn words(body: HttpResponseBody) -> Option<String> {
    let bytes = Limited::new(body, REFUSAL_BYTES_MAX).collect().await.ok()?.to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    let code = element(&text, "Code")?;
    Some(match element(&text, "Message") {
        Some(message) => format!("{code}: {message}"),
        None => code.to_owned(),
    })
}

/// The first line of an element that has text only.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, behind) = xml.split_once(&format!("<{name}>"))?;
    let (text, _) = behind.split_once(&format!("</{name}>"))?;
    text.lines().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn of_a_refusal_its_code_and_the_first_line_of_its_message_are_told() {
        let words = async |body: &'static str| words(HttpResponseBody::from(body.to_owned())).await;
        let azure = "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the \
                     request.\nRequestId:1\nTime:2</Message><AuthenticationErrorDetail>The MAC signature 'abc' … string to sign: \
                     'GET'</AuthenticationErrorDetail></Error>";
        let told = "AuthenticationFailed: Server failed to authenticate the request.";
        assert_eq!(words(azure).await.as_deref(), Some(told));
        let s3 = "<Error><Code>SignatureDoesNotMatch</Code><StringToSign>AWS4</StringToSign></Error>";
        assert_eq!(words(s3).await.as_deref(), Some("SignatureDoesNotMatch"));
        assert_eq!(words("<html>no</html>").await, None);
    }
}
