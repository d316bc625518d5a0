//! How real calls end. Each test proves one line of the table accepted / refused / unknown on a real socket.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use secrecy::SecretString;
use shared_braze::{
    Attempt, AttributeName, BODY_BYTES_MAX, Clause, Client, ClientOptions, End, Held, Identifier, RateHints, Refusal,
    Track, TrackBuilder, Url, Verdict, endpoint,
};

use crate::server::{Reply, Server, answer};

pub(crate) const KEY: &str = "0f3c77aa-key";
const SUCCESS: &str = r#"{"attributes_processed":1,"message":"success"}"#;

fn track() -> Track {
    let attribute = AttributeName::new("lytics_segments").unwrap();
    let mut builder = TrackBuilder::new(75, BODY_BYTES_MAX);
    let vip = Clause::new(&attribute, ["vip"], []);
    builder.push(&Identifier::ExternalId("cust-1".into()), &vip).unwrap();
    builder.finish()
}

pub(crate) fn client(address: &str) -> Client {
    let endpoint_override = Some(Url::parse(address).unwrap());
    // Of calls that nobody answers; the others are answered long before.
    let timeout = Duration::from_secs(3);
    Client::new(ClientOptions {
        endpoint_override,
        timeout,
        ..ClientOptions::default()
    })
    .unwrap()
}

async fn call(client: &Client) -> Attempt {
    let base = endpoint("US-01").unwrap();
    client.track(&base, &SecretString::from(KEY), &track()).await
}

async fn call_once(reply: Reply) -> Attempt {
    let server = Server::start(vec![reply]);
    call(&client(&format!("http://{}", server.address))).await
}

fn retry() -> Vec<Verdict> {
    vec![Verdict::Retry { message: None }]
}

#[tokio::test]
async fn the_request_on_the_wire_is_as_braze_documents_it() {
    let server = Server::start(vec![Reply::Bytes(answer("201 Created", "", SUCCESS))]);
    let attempt = call(&client(&format!("http://{}", server.address))).await;
    assert_eq!(
        attempt.end,
        End::Accepted {
            verdicts: vec![Verdict::Accepted],
            split: false
        }
    );

    let requests = server.requests();
    let head: Vec<_> = requests[0].head.lines().collect();
    assert_eq!(head[0], "POST /users/track HTTP/1.1");
    let agent = concat!("user-agent: partner-Lytics-AudienceExport/", env!("CARGO_PKG_VERSION"));
    for line in [
        &format!("authorization: Bearer {KEY}"),
        "content-type: application/json",
        agent,
        "content-length: 75",
    ] {
        assert!(head.contains(&line), "{line} in {head:?}");
    }
    assert_eq!(
        requests[0].body,
        r#"{"attributes":[{"external_id":"cust-1","lytics_segments":{"add":["vip"]}}]}"#
    );
}

#[tokio::test]
async fn calls_share_a_connection_and_a_prefix_of_the_override_is_kept() {
    let reply = || Reply::Bytes(answer("201 Created", "", SUCCESS));
    let server = Server::start(vec![reply(), reply()]);
    let client = client(&format!("http://{}/sim/", server.address));
    call(&client).await;
    call(&client).await;
    let requests = server.requests();
    assert_eq!(
        requests.iter().map(|request| request.connection).collect::<Vec<_>>(),
        [1, 1]
    );
    assert!(requests[0].head.starts_with("POST /sim/users/track HTTP/1.1"));
}

#[tokio::test]
async fn rate_headers_come_with_the_attempt() {
    let headers = "X-RateLimit-Limit: 3000\r\nX-RateLimit-Remaining: 2999\r\nX-RateLimit-Reset: 3\r\n";
    let attempt = call_once(Reply::Bytes(answer("201 Created", headers, SUCCESS))).await;
    let reset = Some(Duration::from_secs(3));
    assert_eq!(
        attempt.rate,
        RateHints {
            limit: Some(3000),
            remaining: Some(2999),
            reset,
            retry_after: None
        }
    );
}

#[tokio::test]
async fn a_429_is_refused_with_its_delay_even_if_its_body_is_cut_off() {
    let whole = answer(
        "429 Too Many Requests",
        "X-Ratelimit-Retry-After: 9\r\n",
        r#"{"message":"slow down"}"#,
    );
    let cut = whole[..whole.len() - 5].to_owned();
    for reply in [Reply::Bytes(whole), Reply::BytesThenClose(cut)] {
        let attempt = call_once(reply).await;
        let refusal = Refusal::RateLimited {
            retry_after: Some(Duration::from_secs(9)),
        };
        assert!(
            matches!(attempt.end, End::Refused { refusal: seen, .. } if seen == refusal),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn a_401_says_what_braze_says_without_the_key_that_braze_echoes() {
    let body = format!(r#"{{"message":"Invalid API key: {KEY}"}}"#);
    let attempt = call_once(Reply::Bytes(answer("401 Unauthorized", "", &body))).await;
    let message = "Invalid API key: [redacted]".to_owned();
    let refusal = Refusal::Unauthorized { status: Some(401) };
    assert_eq!(
        attempt.end,
        End::Refused {
            refusal,
            verdicts: retry(),
            split: false,
            message
        }
    );
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(vec![Reply::Bytes(answer("201 Created", "", SUCCESS))]);
    let location = format!("Location: http://{}/users/track\r\n", elsewhere.address);
    let attempt = call_once(Reply::Bytes(answer("307 Temporary Redirect", &location, ""))).await;
    assert!(
        matches!(
            attempt.end,
            End::Refused {
                refusal: Refusal::Other { status: 307 },
                ..
            }
        ),
        "{attempt:?}"
    );
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn nobody_listening_is_refused() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let attempt = call(&client(&format!("http://{address}"))).await;
    assert!(
        matches!(
            attempt.end,
            End::Refused {
                refusal: Refusal::NotSent,
                ..
            }
        ),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn a_handshake_that_fails_or_never_ends_is_refused() {
    let server = Server::start(vec![Reply::Reset]);
    let attempt = call(&client(&format!("https://{}", server.address))).await;
    assert!(
        matches!(
            attempt.end,
            End::Refused {
                refusal: Refusal::NotSent,
                ..
            }
        ),
        "{attempt:?}"
    );

    let mute = TcpListener::bind("127.0.0.1:0").unwrap();
    let attempt = call(&client(&format!("https://{}", mute.local_addr().unwrap()))).await;
    assert!(
        matches!(
            attempt.end,
            End::Refused {
                refusal: Refusal::NotSent,
                ..
            }
        ),
        "{attempt:?}"
    );
}

#[tokio::test]
async fn http_2_is_not_offered_even_if_another_crate_of_the_program_can_speak_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let hello = tokio::task::spawn_blocking(move || {
        let mut hello = vec![0; 16 * 1024];
        let length = listener.accept().unwrap().0.read(&mut hello).unwrap();
        hello.truncate(length);
        hello
    });
    call(&client(&format!("https://{address}"))).await;
    let hello = hello.await.unwrap();
    let offers = |protocol: &[u8]| hello.windows(protocol.len()).any(|bytes| bytes == protocol);
    assert!(hello.starts_with(&[22]), "a TLS handshake: {hello:?}");
    assert!(!offers(b"\x02h2"));
}

#[tokio::test]
async fn a_connection_that_is_lost_after_the_request_is_unknown() {
    for reply in [
        Reply::Reset,
        Reply::BytesThenClose(String::new()),
        Reply::BytesThenClose("HTTP/1.1 20".into()),
        Reply::BytesThenClose("no HTTP at all\r\n\r\n".into()),
    ] {
        let attempt = call_once(reply).await;
        assert!(matches!(attempt.end, End::Unknown { status: None, .. }), "{attempt:?}");
    }
}

#[tokio::test]
async fn a_call_without_an_answer_in_time_is_unknown() {
    let attempt = call_once(Reply::Silence).await;
    assert!(matches!(attempt.end, End::Unknown { status: None, .. }), "{attempt:?}");
}

#[tokio::test]
async fn a_201_that_breaks_off_or_never_ends_is_unknown() {
    let whole = answer("201 Created", "", SUCCESS);
    let cut = whole[..whole.len() - 5].to_owned();
    let endless = format!(
        "HTTP/1.1 201 Created\r\nContent-Length: {}\r\n\r\n{}",
        3 << 20,
        " ".repeat(3 << 20)
    );
    for reply in [
        Reply::BytesThenClose(cut.clone()),
        Reply::Bytes(cut),
        Reply::BytesThenClose(endless),
    ] {
        let attempt = call_once(reply).await;
        assert!(
            matches!(attempt.end, End::Unknown { status: Some(201), .. }),
            "{attempt:?}"
        );
    }
}

#[tokio::test]
async fn a_5xx_is_unknown() {
    let attempt = call_once(Reply::Bytes(answer(
        "503 Service Unavailable",
        "Retry-After: 2\r\n",
        "busy",
    )))
    .await;
    assert_eq!(
        attempt.end,
        End::Unknown {
            status: Some(503),
            message: "busy".into()
        }
    );
    assert_eq!(attempt.rate.wait(), Some(Duration::from_secs(2)));
}

#[tokio::test]
async fn a_key_that_is_no_header_is_a_broken_authorization_and_is_not_sent() {
    let server = Server::start(vec![Reply::Silence]);
    let client = client(&format!("http://{}", server.address));
    let base = endpoint("US-01").unwrap();
    for key in ["", "two words", "line\nbreak", "nul\0"] {
        let attempt = client.track(&base, &SecretString::from(key), &track()).await;
        let unauthorized = Refusal::Unauthorized { status: None };
        assert!(
            matches!(&attempt.end, End::Refused { refusal, .. } if *refusal == unauthorized),
            "{attempt:?}"
        );
    }
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn the_time_at_braze_is_read_from_any_answer_and_no_key_is_sent() {
    let dated = answer("404 Not Found", "Date: Fri, 27 Nov 2026 12:00:00 GMT\r\n", "");
    let server = Server::start(vec![Reply::Bytes(dated)]);
    let client = client(&format!("http://{}", server.address));
    let told = client.server_time(&endpoint("US-01").unwrap()).await;
    assert_eq!(told.map(|time| time.to_string()), Ok("2026-11-27T12:00:00Z".to_owned()));
    let [request] = &server.requests()[..] else {
        panic!("one request")
    };
    assert!(
        !request.head.to_lowercase().contains("authorization"),
        "{}",
        request.head
    );
}

#[tokio::test]
async fn a_user_is_looked_up_and_a_refusal_is_told_without_the_key() {
    let found =
        r#"{"message":"success","users":[{"braze_id":"64b1","custom_attributes":{"lytics_segments":["vip"]}}]}"#;
    let refused = format!(r#"{{"message":"Invalid API key: {KEY}"}}"#);
    let server = Server::start(vec![
        Reply::Bytes(answer("201 Created", "", found)),
        Reply::Bytes(answer("401 Unauthorized", "", &refused)),
        Reply::Silence,
    ]);
    let client = client(&format!("http://{}/sim/", server.address));
    let (base, key) = (endpoint("US-01").unwrap(), SecretString::from(KEY));
    let cust_1 = Identifier::ExternalId("cust-1".into());
    let look = async || client.user(&base, &key, &cust_1, "lytics_segments").await;
    let user = look().await.unwrap().unwrap();
    assert_eq!(
        (user.braze_id.as_deref(), user.attribute),
        (Some("64b1"), Held::Array(vec!["vip".into()]))
    );
    let refused = look().await.unwrap_err();
    assert_eq!(
        (refused.status, refused.to_string().as_str()),
        (Some(401), "Invalid API key: [redacted]")
    );
    assert_eq!(look().await.unwrap_err().status, None, "it takes too long");
    let requests = server.requests();
    assert!(requests[0].head.starts_with("POST /sim/users/export/ids HTTP/1.1"));
    assert!(requests[0].head.contains(&format!("authorization: Bearer {KEY}")));
    assert_eq!(
        requests[0].body,
        r#"{"external_ids":["cust-1"],"fields_to_export":["braze_id","external_id","custom_attributes"]}"#
    );
}
