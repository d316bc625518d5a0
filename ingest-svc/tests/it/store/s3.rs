use control::Storage;
use ingest_svc::config::Imports;
use ingest_svc::store::{Error, Store};
use secrecy::SecretString;

use super::server::{S3, SECRET, Server, answer, parameter};
use super::{imports, keys, list, open, read};

#[tokio::test]
async fn what_is_listed_below_any_beginning_of_a_key_can_be_read() {
    let s3 = S3::start().await;
    s3.put("exports/2026-01.csv", "id\n1\n");
    s3.put("exports/2026-02.csv", "id\n22\n");
    s3.put("exports/old/2025.csv", "id\n");
    s3.put("exports/empty", "");
    let store = open(&s3.storage(), SECRET);
    store.try_it().await.unwrap();
    assert_eq!(
        keys(&store, "exports/2026-").await,
        ["exports/2026-01.csv", "exports/2026-02.csv"]
    );
    assert_eq!(keys(&store, "").await.len(), 3);
    let found = list(&store, "exports/2026-02.csv").await.unwrap();
    assert_eq!((found.len(), found[0].size), (1, 6));
    assert_eq!(read(&store, &found[0]).await.unwrap(), "id\n22\n");
}

#[tokio::test]
async fn an_object_that_was_written_again_is_not_read_as_the_one_that_was_listed() {
    let s3 = S3::start().await;
    s3.put("a.csv", "one");
    let store = open(&s3.storage(), SECRET);
    let mut listed = list(&store, "").await.unwrap().remove(0);
    // This server lists no ETags; an object's is the MD5 of its content.
    listed.etag = "\"f97c5d29941bfb1b2fdab0874906ab82\"".to_owned();
    assert_eq!(read(&store, &listed).await.unwrap(), "one");
    s3.put("a.csv", "two");
    assert_eq!(read(&store, &listed).await, Err(Error::Changed("a.csv".to_owned())));
    std::fs::remove_file(s3.path("a.csv")).unwrap();
    assert!(matches!(read(&store, &listed).await, Err(Error::Missing(_))));
}

#[tokio::test]
async fn a_wrong_secret_is_refused_in_the_storages_words_and_without_it() {
    let s3 = S3::start().await;
    let store = open(&s3.storage(), "another-secret-entirely");
    let refused = store.try_it().await.unwrap_err();
    assert_eq!(refused.to_string(), "the storage refuses it: SignatureDoesNotMatch");
    assert!(!refused.is_temporary());
}

#[tokio::test]
async fn what_a_refusal_quotes_is_not_told() {
    let quoting = Server::start(|_| {
        let body = format!(
            "<Error><Code>AccessDenied</Code><Message>not {SECRET}\nbut: x</Message><StringToSign>AWS4 abc</StringToSign></Error>"
        );
        answer(403, &[], body)
    });
    let quoting = quoting.await;
    let store = open(&S3::storage_at(&quoting.endpoint), SECRET);
    let refused = store.try_it().await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the storage refuses it: AccessDenied: not (secret)"
    );
    assert!(!format!("{refused:?}").contains(SECRET));
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_missing_and_one_elsewhere_is_told_so() {
    let s3 = S3::start().await;
    let Storage::S3 {
        region,
        access_key_id,
        endpoint,
        ..
    } = s3.storage()
    else {
        unreachable!()
    };
    let other = Storage::S3 {
        bucket: "other".to_owned(),
        region,
        access_key_id,
        endpoint,
    };
    assert!(matches!(open(&other, SECRET).try_it().await, Err(Error::Missing(_))));
    // Nobody is sent on: where to is not what the installation allows.
    let elsewhere = Server::start(|_| answer(307, &[("location", "http://127.0.0.1:1/x")], "")).await;
    let refused = open(&S3::storage_at(&elsewhere.endpoint), SECRET)
        .try_it()
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("elsewhere, perhaps in another region"),
        "{refused}"
    );
    assert_eq!(elsewhere.asked().len(), 1);
}

#[tokio::test]
async fn a_storage_that_is_away_for_a_moment_is_asked_again_and_not_for_ever() {
    let failing = Server::start(|_| answer(503, &[], "<Error><Code>SlowDown</Code></Error>")).await;
    let store = open(&S3::storage_at(&failing.endpoint), SECRET);
    let error = store.try_it().await.unwrap_err();
    assert!(error.is_temporary(), "{error}");
    assert_eq!(failing.asked().len(), 5);
    assert!(error.to_string().contains("SlowDown"), "{error}");
}

#[tokio::test]
async fn a_long_listing_comes_in_pages_and_one_that_begins_again_ends() {
    let page = |number: u32, next: &str| {
        format!(
            "<ListBucketResult><Contents><Key>{number}.csv</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified>\
             <ETag>&quot;{number}&quot;</ETag></Contents><NextContinuationToken>{next}</NextContinuationToken></ListBucketResult>"
        )
    };
    let endless = Server::start(move |request| {
        let body = match parameter(request, "continuation-token").as_deref() {
            None => page(1, "two"),
            Some("two") => page(2, "three"),
            Some(_) => page(3, "three"),
        };
        answer(200, &[], body)
    });
    let endless = endless.await;
    let store = open(&S3::storage_at(&endless.endpoint), SECRET);
    assert!(list(&store, "").await.unwrap_err().is_temporary());
    assert_eq!(endless.asked().len(), 3);
}

#[test]
fn only_an_endpoint_that_the_installation_lists_is_reached() {
    let storage = |endpoint: &str| S3::storage_at(endpoint);
    let open = |endpoint: &str, allowed: &[&str]| {
        Store::open(&storage(endpoint), Some(SecretString::from(SECRET)), &imports(allowed)).map(drop)
    };
    let minio = "https://minio.example.com";
    assert!(open(minio, &[minio]).is_ok());
    assert!(open("https://minio.example.com/", &[minio]).is_ok());
    for (endpoint, allowed) in [
        (minio, &[][..]),
        ("http://minio.example.com", &[minio]),
        ("https://minio.example.com:8443", &[minio]),
        ("https://minio.example.com.evil.example", &[minio]),
        ("https://user@minio.example.com", &[minio]),
        ("https://minio.example.com/?x=", &[minio]),
        ("https://minio.example.com/path", &[minio]),
        ("file:///", &["file:///"]),
    ] {
        let refused = open(endpoint, allowed).unwrap_err();
        assert!(
            matches!(&refused, Error::Setup(text) if text.contains("imports.endpoints")),
            "{endpoint}: {refused}"
        );
    }
}

#[test]
fn nothing_that_becomes_part_of_an_address_can_make_it_another() {
    let s3 = |bucket: &str, region: &str, key: &str| Storage::S3 {
        bucket: bucket.to_owned(),
        region: region.to_owned(),
        access_key_id: key.to_owned(),
        endpoint: None,
    };
    let azure = |account: &str, container: &str| Storage::Azure {
        account: account.to_owned(),
        container: container.to_owned(),
        endpoint: None,
    };
    for (storage, field) in [
        (s3("b/../c", "r", "k"), "bucket"),
        (s3("..", "r", "k"), "bucket"),
        (s3("b", "evil.example/?", "k"), "region"),
        (s3("b", "", "k"), "region"),
        (s3("b", "r", "k\r\nx: y"), "access_key_id"),
        (azure("evil.example/", "c"), "account"),
        (azure("a", "c?d"), "container"),
        (
            Storage::Gcs {
                bucket: "b#".to_owned(),
                endpoint: None,
            },
            "bucket",
        ),
    ] {
        let refused = Store::open(&storage, Some(SecretString::from(SECRET)), &Imports::default())
            .map(drop)
            .unwrap_err();
        assert!(refused.to_string().starts_with(field), "{refused}");
    }
    // Without its secret nothing else is tried: no environment, no metadata of a machine.
    for storage in [
        s3("b", "r", "k"),
        azure("a", "c"),
        Storage::Gcs {
            bucket: "b".to_owned(),
            endpoint: None,
        },
    ] {
        let refused = Store::open(&storage, None, &Imports::default()).map(drop).unwrap_err();
        assert!(refused.to_string().contains("the secret is missing"), "{refused}");
    }
}
