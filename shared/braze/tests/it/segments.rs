//! How the calls around segments end, on a real socket.

use std::net::TcpListener;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use shared_braze::{
    Client, Denial, Denied, EXPORT_FIELDS, OutputFormat, SegmentExport, SegmentPage, StartedExport, endpoint,
};

use crate::calls::{KEY, client};
use crate::server::{Reply, Server, answer};

const CALLBACK: &str = "https://import.example.net/braze/done?token=0f/5+c";
const TOKEN: &str = "Zk3_0123456789-abcdefghij";
const PREFIX: &str = "3f0d7c1e-5b1a-4a3d-8c7e-0a9b8c7d6e5f-1767225600";

fn export() -> SegmentExport {
    SegmentExport {
        segment_id: "7a1b0c52".into(),
        fields: EXPORT_FIELDS.map(str::to_owned).to_vec(),
        custom_attributes: Vec::new(),
        callback: Some(SecretString::from(CALLBACK)),
        format: OutputFormat::Gzip,
    }
}

async fn list(client: &Client, page: u32) -> Result<SegmentPage, Denied> {
    client
        .segments(&endpoint("US-01").unwrap(), &SecretString::from(KEY), page)
        .await
}

async fn start(client: &Client, key: &str) -> Result<StartedExport, Denied> {
    client
        .export_segment(&endpoint("US-01").unwrap(), &SecretString::from(key), &export())
        .await
}

/// What comes of an answer to each of the two calls.
async fn denials(reply: impl Fn() -> Reply) -> [Denial; 2] {
    let server = Server::start(vec![reply(), reply()]);
    let client = client(&format!("http://{}", server.address));
    let listed = list(&client, 0).await.unwrap_err();
    [listed.denial, start(&client, KEY).await.unwrap_err().denial]
}

async fn denial(status: &str, headers: &str, body: &str) -> [Denial; 2] {
    denials(|| Reply::Bytes(answer(status, headers, body))).await
}

#[tokio::test]
async fn segments_are_listed_by_pages_until_one_is_not_full() {
    let page = |length: usize| {
        let entry = |number| {
            format!(
                r#"{{"id":"id-{number}","name":"Segment {number}","analytics_tracking_enabled":true,"tags":["t"]}}"#
            )
        };
        let entries: Vec<_> = (0..length).map(entry).collect();
        let body = format!(r#"{{"message":"success","segments":[{}]}}"#, entries.join(","));
        Reply::Bytes(answer("200 OK", "", &body))
    };
    let server = Server::start(vec![page(100), page(99), page(0)]);
    let client = client(&format!("http://{}/sim", server.address));
    let first = list(&client, 0).await.unwrap();
    assert_eq!((first.segments.len(), first.next), (100, Some(1)));
    assert_eq!(
        (first.segments[99].id.as_str(), first.segments[99].name.as_str()),
        ("id-99", "Segment 99")
    );
    let second = list(&client, 1).await.unwrap();
    assert_eq!((second.segments.len(), second.next), (99, None));
    assert_eq!(list(&client, 2).await.unwrap().next, None);

    let heads: Vec<_> = server.requests().into_iter().map(|request| request.head).collect();
    assert!(
        heads[0].starts_with("GET /sim/segments/list?page=0 HTTP/1.1"),
        "{}",
        heads[0]
    );
    assert!(
        heads[1].starts_with("GET /sim/segments/list?page=1 HTTP/1.1"),
        "{}",
        heads[1]
    );
    for line in [
        format!("authorization: Bearer {KEY}"),
        "user-agent: partner-Lytics-".to_owned(),
    ] {
        assert!(heads[0].contains(&line), "{line} in {}", heads[0]);
    }
}

#[tokio::test]
async fn an_export_is_started_and_its_prefix_told_whatever_2xx_says_so() {
    let own = format!(r#"{{"message":"success","object_prefix":"{PREFIX}"}}"#);
    let brazes =
        format!(r#"{{"message":"success","object_prefix":"{PREFIX}","url":"https://b.example.net/f?signature=s"}}"#);
    let server = Server::start(vec![
        Reply::Bytes(answer("201 Created", "", &own)),
        Reply::Bytes(answer("200 OK", "", &brazes)),
    ]);
    let client = client(&format!("http://{}", server.address));
    let started = start(&client, KEY).await.unwrap();
    assert_eq!((started.object_prefix.as_str(), started.url.is_none()), (PREFIX, true));
    let started = start(&client, KEY).await.unwrap();
    assert!(
        !format!("{started:?}").contains("signature"),
        "whoever knows the URL has the users"
    );
    assert_eq!(
        started.url.unwrap().expose_secret(),
        "https://b.example.net/f?signature=s"
    );

    let request = &server.requests()[0];
    assert!(
        request.head.starts_with("POST /users/export/segment HTTP/1.1"),
        "{}",
        request.head
    );
    for line in [
        format!("authorization: Bearer {KEY}"),
        "content-type: application/json".to_owned(),
    ] {
        assert!(request.head.contains(&line), "{line} in {}", request.head);
    }
    for part in [r#""segment_id":"7a1b0c52""#, r#""output_format":"gzip""#, CALLBACK] {
        assert!(request.body.contains(part), "{part} in {}", request.body);
    }
}

#[tokio::test]
async fn a_429_is_the_rate_limit_in_both_header_forms_and_an_export_that_runs_if_there_is_room() {
    let limited = |seconds| Denial::RateLimited {
        retry_after: Some(Duration::from_secs(seconds)),
    };
    let full = "X-RateLimit-Limit: 250000\r\nX-RateLimit-Remaining: 0\r\nX-RateLimit-Reset: 60\r\n";
    let room = "X-RateLimit-Limit: 250000\r\nX-RateLimit-Remaining: 249999\r\nX-RateLimit-Reset: 60\r\n";
    let body = r#"{"message":"too many"}"#;
    assert_eq!(denial("429 Too Many Requests", full, body).await, [limited(60); 2]);
    let newer = "X-Ratelimit-Retry-After: 9\r\n";
    assert_eq!(denial("429 Too Many Requests", newer, body).await, [limited(9); 2]);
    assert_eq!(
        denial("429 Too Many Requests", room, body).await,
        [limited(60), Denial::Busy]
    );
    let unsaid = Denial::RateLimited { retry_after: None };
    assert_eq!(denial("429 Too Many Requests", "", body).await, [unsaid, Denial::Busy]);
}

#[tokio::test]
async fn each_refusal_says_what_to_do_next() {
    let unauthorized = |status| [Denial::Unauthorized { status: Some(status) }; 2];
    let no = r#"{"message":"no"}"#;
    assert_eq!(denial("401 Unauthorized", "", no).await, unauthorized(401));
    assert_eq!(denial("403 Forbidden", "", no).await, unauthorized(403));
    assert_eq!(denial("400 Bad Request", "", no).await, [Denial::Unusable; 2]);
    assert_eq!(
        denial("404 Not Found", "", no).await,
        [Denial::Other { status: 404 }; 2]
    );
    assert_eq!(
        denial("307 Temporary Redirect", "Location: /\r\n", "").await,
        [Denial::Other { status: 307 }; 2]
    );
}

#[tokio::test]
async fn what_may_have_started_an_export_is_unknown_and_what_never_left_is_not() {
    for status in [
        "408 Request Timeout",
        "425 Too Early",
        "500 Oops",
        "503 Service Unavailable",
    ] {
        assert_eq!(
            denial(status, "", r#"{"message":"no"}"#).await,
            [Denial::Unknown; 2],
            "{status}"
        );
    }
    for body in [
        "",
        "<html>",
        "[]",
        r#"{"message":"success"}"#,
        r#"{"message":"success","object_prefix":"../a"}"#,
        r#"{"message":"success","segments":[{"name":"no id"}]}"#,
    ] {
        assert_eq!(denial("201 Created", "", body).await, [Denial::Unknown; 2], "{body}");
    }
    let cut = || Reply::BytesThenClose("HTTP/1.1 201 Created\r\nContent-Length: 90\r\n\r\n{".into());
    assert_eq!(denials(cut).await, [Denial::Unknown; 2]);
    assert_eq!(denials(|| Reply::Silence).await, [Denial::Unknown; 2], "in time");

    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = client(&format!("http://{nobody}"));
    assert_eq!(start(&nobody, KEY).await.unwrap_err().denial, Denial::NotSent);
    let no_header = Denial::Unauthorized { status: None };
    assert_eq!(start(&nobody, "two words").await.unwrap_err().denial, no_header);
}

#[tokio::test]
async fn a_refusal_is_told_without_the_key_and_the_callback() {
    let echo = format!(
        r#"{{"message":"{} Invalid API key: {KEY} or callback {CALLBACK}"}}"#,
        "x".repeat(400)
    );
    let escaped = format!(
        r#"{{"error":"{}"}}"#,
        "https%3A%2F%2Fimport.example.net%2Fbraze%2Fdone%3Ftoken%3D0f%2F5%2Bc"
    );
    let server = Server::start(vec![
        Reply::Bytes(answer("401 Unauthorized", "", &echo)),
        Reply::Bytes(answer("400 Bad Request", "", &escaped)),
    ]);
    let client = client(&format!("http://{}", server.address));
    let told = start(&client, KEY).await.unwrap_err().to_string();
    assert_eq!(
        told.trim_start_matches('x'),
        " Invalid API key: [redacted] or callback [redacted]"
    );
    let told = start(&client, KEY).await.unwrap_err().to_string();
    assert!(!told.contains("token"), "{told}");
}

#[tokio::test]
async fn what_makes_the_callback_unguessable_is_not_in_a_refusal_either() {
    let said = format!(r#"{{"message":"no host answers for /braze/{TOKEN}"}}"#);
    let server = Server::start(vec![Reply::Bytes(answer("400 Bad Request", "", &said))]);
    let client = client(&format!("http://{}", server.address));
    let callback = format!("https://import.example.net/braze/{TOKEN}");
    let export = SegmentExport {
        callback: Some(SecretString::from(callback)),
        ..export()
    };
    let base = endpoint("US-01").unwrap();
    let told = client.export_segment(&base, &SecretString::from(KEY), &export).await;
    assert_eq!(told.unwrap_err().to_string(), "no host answers for /braze/[redacted]");
}
