//! Against a collector that answers as it is told.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use clap::Parser;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use runtime::http1;
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cli::{Cli, Command};

/// A request, as it arrived.
#[derive(Debug, Clone)]
struct Seen {
    uri: String,
    authorization: Option<String>,
    body: String,
}

impl Seen {
    /// Its records, one a line or in an array.
    fn records(&self) -> Vec<Value> {
        match self.body.strip_prefix('[') {
            Some(_) => serde_json::from_str(&self.body).unwrap(),
            None => self
                .body
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        }
    }
}

#[derive(Clone, Default)]
struct Collector {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// The statuses of the next answers; then 200.
    statuses: Arc<Mutex<VecDeque<u16>>>,
}

async fn answer(collector: Collector, request: Request<Incoming>) -> Result<Response, Infallible> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let authorization = parts.headers.get("authorization");
    let seen = Seen {
        uri: parts.uri.to_string(),
        authorization: authorization.map(|value| value.to_str().unwrap().to_owned()),
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let count = seen.records().len();
    collector.seen.lock().unwrap().push(seen);
    let status = collector.statuses.lock().unwrap().pop_front().unwrap_or(200);
    let data = json!({"message_count": count - 1, "rejected_count": 1, "rejected": [{"index": 0, "reason": "nobody"}]});
    let data = if status == 200 { data } else { Value::Null };
    let envelope = json!({"status": status, "message": "as told", "data": data}).to_string();
    let status = StatusCode::from_u16(status).unwrap();
    Ok((status, [("retry-after", "0")], envelope).into_response())
}

/// What an import sends, and how it ends: the requests, the first row that is left, and why.
async fn import(
    statuses: &[u16],
    file: impl AsRef<[u8]>,
    arguments: &str,
) -> (Vec<Seen>, u64, String, Result<(), String>) {
    let collector = Collector::default();
    collector.statuses.lock().unwrap().extend(statuses);
    let options = http1::Options {
        port: "collector",
        connections_max: 8,
        header_timeout: Duration::from_secs(60),
    };
    let server = http1::Server::bind("127.0.0.1:0", options).await.unwrap();
    let url = format!("http://{}/", server.local_addr().unwrap());
    let answers = collector.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let service = service_fn(move |request| answer(answers.clone(), request));
        server.serve(service, CancellationToken::new()).await;
    });
    let named = NamedTempFile::new().unwrap();
    tokio::fs::write(named.path(), file).await.unwrap();
    let path = named.path().to_str().unwrap();
    let line = format!("ingest-svc import {path} --account 7 --stream a/b --url {url} {arguments}");
    let Command::Import(call) = Cli::parse_from(line.split_whitespace()).command else {
        panic!("{line}")
    };
    let (url, import) = (call.url, call.import.unwrap());
    let collect = Collect::new(&url, &import, Some("the-token".into())).unwrap();
    let (progress, next) = (
        Progress::new(ProgressDrawTarget::hidden()),
        Cell::new(import.first_row()),
    );
    let ended = import.send(&collect, &progress, &next).await;
    let seen = collector.seen.lock().unwrap().clone();
    (
        seen,
        next.get(),
        progress.summary(),
        ended.map_err(|error| format!("{error:#}")),
    )
}

fn rows(count: usize) -> String {
    let rows = (1..=count).map(|row| format!("{{\"id\":{row}}}\n"));
    rows.collect()
}

#[tokio::test]
async fn rows_are_sent_in_order_in_requests_of_bounded_size_with_token_account_and_parameters() {
    let (seen, next, summary, ended) = import(&[], &rows(2_500), "--dry-run --timestamp-field at").await;
    assert_eq!((ended, next), (Ok(()), 2_501));
    assert_eq!(summary, "2500 rows read, 2497 records taken, 3 rejected");
    let counts: Vec<_> = seen.iter().map(|seen| seen.records().len()).collect();
    assert_eq!(counts, [1_000, 1_000, 500]);
    let ids = seen
        .iter()
        .flat_map(Seen::records)
        .map(|record| record["id"].as_u64().unwrap());
    assert!(ids.eq(1..=2_500));
    for seen in seen {
        assert_eq!(
            seen.uri,
            "/collect/bulk/a%2Fb?account_id=7&dryrun=true&timestamp_field=at"
        );
        assert_eq!(seen.authorization.as_deref(), Some("Bearer the-token"));
    }
    let wide = format!("{{\"a\":\"{}\"}}\n", "x".repeat(10_000)).repeat(500);
    let (seen, ..) = import(&[], &wide, "").await;
    assert!(seen.len() > 4 && seen.iter().all(|seen| seen.body.len() <= 1 << 20));
}

#[tokio::test]
async fn what_cannot_be_taken_now_is_sent_again_and_nothing_is_left_out() {
    let (seen, next, _, ended) = import(&[503, 429, 200, 503], &rows(1_500), "").await;
    assert_eq!((ended, next), (Ok(()), 1_501));
    let firsts: Vec<_> = seen.iter().map(|seen| seen.records()[0]["id"].clone()).collect();
    assert_eq!(firsts, [1, 1, 1, 1_001, 1_001]);
}

#[tokio::test]
async fn a_refusal_ends_it_and_it_goes_on_where_it_was_refused() {
    let (_, next, _, ended) = import(&[200, 403], &rows(1_500), "").await;
    assert_eq!((ended, next), (Err("403: as told".to_owned()), 1_001));
    let (seen, next, _, ended) = import(&[], &rows(1_500), "--from-row 1001").await;
    assert_eq!((ended, next), (Ok(()), 1_501));
    assert_eq!(seen[0].records()[0]["id"], 1_001);
}

#[tokio::test]
async fn a_row_that_cannot_be_read_ends_it_behind_the_rows_before_or_is_passed_over() {
    let file = "id,city\n1,a\n2\n3,c\n";
    let (seen, next, _, ended) = import(&[], file, "--format csv").await;
    assert_eq!(
        ended.unwrap_err(),
        "row 2: line 3: the row does not have as many columns (1) as are named (2). Mend it, or pass over such rows with \
         --drop-errors"
    );
    assert_eq!((seen[0].records(), next), (vec![json!({"id": "1", "city": "a"})], 2));
    let (seen, next, summary, ended) = import(&[], file, "--format csv --drop-errors --columns id").await;
    assert_eq!((ended, next), (Ok(()), 4));
    assert_eq!(seen[0].records(), [json!({"id": "1"}), json!({"id": "3"})]);
    assert_eq!(summary, "3 rows read, 1 records taken, 2 rejected");
    // A line that is no object would tell the service that all of them are something else.
    let (seen, next, summary, ended) = import(&[], "x\n{\"id\":2}\n", "--format ndjson").await;
    assert_eq!((ended, next), (Ok(()), 3));
    assert_eq!(seen[0].records(), [json!({"id": 2})]);
    assert_eq!(summary, "2 rows read, 0 records taken, 2 rejected");
}

#[tokio::test]
async fn records_over_16_kb_go_to_the_endpoint_that_takes_them_and_spoil_no_other() {
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(20_000));
    let lines = format!("{{\"id\":1}}\n{large}\n{{\"id\":\n{{\"id\":2}}\n");
    let latin_1 = b"{\"a\":\"\xe9\"}\n";
    let (seen, _, summary, ended) = import(&[], [lines.as_bytes(), latin_1].concat(), "").await;
    assert_eq!(ended, Ok(()));
    assert!(seen[0].uri.starts_with("/collect/json/"), "{}", seen[0].uri);
    assert_eq!(seen[0].records().len(), 3);
    assert_eq!(summary, "5 rows read, 2 records taken, 3 rejected");
}

#[tokio::test]
async fn without_a_service_it_says_so_at_once_and_a_file_that_is_not_there_is_named() {
    let parse = |line: &str| match Cli::parse_from(line.split(' ')).command {
        Command::Import(call) => (call.url, call.import.unwrap()),
        _ => panic!("{line}"),
    };
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/webhook.json");
    for (line, problem) in [
        (
            format!("ingest-svc import {file} --account 7 --stream s --url http://127.0.0.1:1"),
            "--url names",
        ),
        (
            "ingest-svc import no-such-file --account 7 --stream s".to_owned(),
            "cannot read no-such-file",
        ),
    ] {
        let (url, import) = parse(&line);
        let collect = Collect::new(&url, &import, None).unwrap();
        let ended = import
            .send(&collect, &Progress::new(ProgressDrawTarget::hidden()), &Cell::new(1))
            .await;
        let error = format!("{:#}", ended.unwrap_err());
        assert!(error.contains(problem), "{error}");
    }
}

/// What would be a record of somebody else, if it were a line of its own.
#[tokio::test]
async fn a_cell_with_line_breaks_is_one_record_with_the_rest_of_its_row() {
    let cell = "[1,\n{\"braze_id\":\"another\"}\r\n]";
    let file = format!("braze_id,bio\nb-1,\"{}\"\nb-2,x\n", cell.replace('"', "\"\""));
    let (seen, ..) = import(&[], &file, "--format csv --kind braze").await;
    let records: Vec<_> = seen.iter().flat_map(Seen::records).collect();
    assert_eq!(
        records,
        [
            json!({"braze_id": "b-1", "bio": [1, {"braze_id": "another"}]}),
            json!({"braze_id": "b-2", "bio": "x"})
        ]
    );
}
