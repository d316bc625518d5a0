//! Google Cloud Storage by its XML, with tokens that a service account's key signs.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use control::Storage;
use ingest_svc::config::Imports;
use ingest_svc::store::{Error, Store};
use percent_encoding::percent_decode_str;
use rcgen::{KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use secrecy::SecretString;

use super::server::{Server, answer, header, parameter};
use super::{list, open, read};

const CONTENT: &str = "{\"id\":1}\n";

fn storage(endpoint: &str) -> Storage {
    Storage::Gcs {
        bucket: "files".to_owned(),
        endpoint: Some(endpoint.to_owned()),
    }
}

/// A service account's key, which names another place than the one that is meant.
fn key() -> String {
    let pair = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    serde_json::json!({
        "type": "service_account",
        "private_key": pair.serialize_pem(),
        "private_key_id": "key-1",
        "client_email": "reader@acme.example",
        "token_uri": "http://127.0.0.1:1/token",
        "gcs_base_url": "http://127.0.0.1:1",
    })
    .to_string()
}

#[tokio::test]
async fn objects_are_listed_and_read_as_they_are_stored_with_a_token_of_the_account() {
    let gcs = Server::start(|request| {
        let claims = header(request, "authorization")
            .strip_prefix("Bearer ")
            .and_then(|token| token.split('.').nth(1));
        let claims = BASE64_URL_SAFE_NO_PAD.decode(claims.unwrap_or_default()).unwrap();
        if !String::from_utf8(claims)
            .unwrap()
            .contains("\"iss\":\"reader@acme.example\"")
        {
            return answer(401, &[], "<Error><Code>AuthenticationRequired</Code></Error>");
        }
        match &*percent_decode_str(request.uri().path()).decode_utf8().unwrap() {
            "/files" if parameter(request, "prefix").as_deref() == Some("in/") => {
                let page = format!(
                    "<?xml version='1.0'?><ListBucketResult><Name>files</Name><IsTruncated>false</IsTruncated><Contents>\
                     <Key>in/a.ndjson</Key><Generation>1</Generation><LastModified>2026-01-05T10:00:00.000Z</LastModified>\
                     <ETag>\"e1\"</ETag><Size>{}</Size></Contents></ListBucketResult>",
                    CONTENT.len()
                );
                answer(200, &[], page)
            }
            // Google unpacks what is stored as gzip for whoever does not say that they take it.
            "/files/in/a.ndjson" if header(request, "accept-encoding") != "gzip" => answer(200, &[], "unpacked"),
            "/files/in/a.ndjson" if header(request, "if-match") == "\"e1\"" => answer(
                200,
                &[("etag", "\"e1\""), ("last-modified", "Mon, 05 Jan 2026 10:00:00 GMT")],
                CONTENT,
            ),
            "/files/in/a.ndjson" => answer(412, &[], "<Error><Code>PreconditionFailed</Code></Error>"),
            _ => answer(
                403,
                &[],
                "<Error><Code>AccessDenied</Code><Message>Access denied.</Message></Error>",
            ),
        }
    });
    let gcs = gcs.await;
    let store = open(&storage(&gcs.endpoint), &key());
    let mut listed = list(&store, "in/").await.unwrap().remove(0);
    assert_eq!((&*listed.key, listed.size), ("in/a.ndjson", CONTENT.len() as u64));
    assert_eq!(read(&store, &listed).await.unwrap(), CONTENT);
    listed.etag = "\"e0\"".to_owned();
    assert_eq!(
        read(&store, &listed).await,
        Err(Error::Changed("in/a.ndjson".to_owned()))
    );
    let refused = store.try_it().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the storage refuses it: AccessDenied: Access denied."
    );
}

#[test]
fn a_secret_that_is_no_key_of_a_service_account_is_told_without_it() {
    let storage = Storage::Gcs {
        bucket: "files".to_owned(),
        endpoint: None,
    };
    for secret in [
        "the-secret",
        "{}",
        "{\"private_key\":\"the-secret\",\"private_key_id\":\"\",\"client_email\":\"\"}",
    ] {
        let refused = Store::open(&storage, Some(SecretString::from(secret)), &Imports::default())
            .map(drop)
            .unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the secret is not the JSON of a service account's key"
        );
    }
}
