//! Azure Blob Storage, as far as listing and reading go: its XML, its ETags without quotes in a listing, its marker of the next page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use control::Storage;
use http::Request;
use ingest_svc::store::Error;

use super::server::{Server, answer, header, parameter};
use super::{keys, list, open, read};

const CONTENT: &str = "id\n1\n2\n";

fn storage(endpoint: &str) -> Storage {
    Storage::Azure {
        account: "acme".to_owned(),
        container: "files".to_owned(),
        endpoint: Some(endpoint.to_owned()),
    }
}

fn key() -> String {
    BASE64_STANDARD.encode("the key of an account")
}

fn blob(name: &str, etag: &str, bytes: usize) -> String {
    format!(
        "<Blob><Name>{name}</Name><Properties><Last-Modified>Mon, 05 Jan 2026 10:00:00 GMT</Last-Modified><Etag>{etag}</Etag>\
         <Content-Length>{bytes}</Content-Length><Content-Type>text/csv</Content-Type><BlobType>BlockBlob</BlobType></Properties></Blob>"
    )
}

fn page(request: &Request<()>) -> String {
    let (blobs, next) = match parameter(request, "marker").as_deref() {
        None => (
            blob("in/a.csv", "0x8DE1", CONTENT.len()) + &blob("in/", "0x8DE2", 0),
            "2",
        ),
        Some(_) => (blob("in/b.csv", "0x8DE3", 1), ""),
    };
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\" ContainerName=\"files\">\
         <Prefix>in/</Prefix><Blobs>{blobs}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
    )
}

#[tokio::test]
async fn blobs_are_listed_over_pages_and_read_with_the_accounts_key() {
    let azure = Server::start(|request| {
        if !header(request, "authorization").starts_with("SharedKey acme:") {
            return answer(403, &[], "<Error><Code>AuthenticationFailed</Code></Error>");
        }
        match request.uri().path() {
            "/acme/files" => answer(200, &[], page(request)),
            "/acme/files/in/a.csv" if header(request, "if-match") == "\"0x8DE1\"" => {
                let headers = [
                    ("etag", "\"0x8DE1\""),
                    ("last-modified", "Mon, 05 Jan 2026 10:00:00 GMT"),
                ];
                answer(200, &headers, CONTENT)
            }
            "/acme/files/in/a.csv" => answer(412, &[], "<Error><Code>ConditionNotMet</Code></Error>"),
            _ => answer(404, &[], "<Error><Code>BlobNotFound</Code></Error>"),
        }
    });
    let azure = azure.await;
    let store = open(&storage(&azure.endpoint), &key());
    store.try_it().await.unwrap();
    assert_eq!(keys(&store, "in/").await, ["in/a.csv", "in/b.csv"]);
    let mut listed = list(&store, "in/").await.unwrap().remove(0);
    assert_eq!(listed.modified, "2026-01-05T10:00:00Z".parse().unwrap());
    assert_eq!(read(&store, &listed).await.unwrap(), CONTENT);
    listed.etag = "0x8DE0".to_owned();
    assert_eq!(read(&store, &listed).await, Err(Error::Changed("in/a.csv".to_owned())));
    assert!(
        azure
            .asked()
            .iter()
            .any(|request| parameter(request, "prefix").as_deref() == Some("in/"))
    );
}

#[tokio::test]
async fn what_azure_quotes_of_a_signature_is_not_told() {
    let azure = Server::start(|_| {
        let body = "\u{feff}<?xml version=\"1.0\"?><Error><Code>AuthenticationFailed</Code><Message>Server failed to authenticate the \
                    request.\nRequestId:1</Message><AuthenticationErrorDetail>The MAC signature 'abc' is not the same as any computed \
                    signature</AuthenticationErrorDetail></Error>";
        answer(403, &[], body)
    });
    let refused = open(&storage(&azure.await.endpoint), &key())
        .try_it()
        .await
        .unwrap_err();
    let told = "the storage refuses it: AuthenticationFailed: Server failed to authenticate the request.";
    assert_eq!(refused.to_string(), told);
}
