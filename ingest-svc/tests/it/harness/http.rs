//! HTTP by hand: what is sent is what the test says, byte for byte.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::DEADLINE;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(header, _)| header.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {:?}", self.body))
    }

    /// That the answer is this status in the envelope, without data; its message.
    #[track_caller]
    pub(crate) fn refusal(&self, status: u16) -> String {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["data"]),
            (status, &status.into(), &serde_json::Value::Null),
            "{json}"
        );
        json["message"].as_str().unwrap().to_owned()
    }

    /// That the answer is a 200 with these counts; its data.
    #[track_caller]
    pub(crate) fn counts(&self, message_count: u64, rejected_count: u64) -> serde_json::Value {
        let json = self.json();
        assert_eq!(
            (self.status, &json["status"], &json["message"]),
            (200, &200.into(), &"success".into()),
            "{json}"
        );
        let data = &json["data"];
        let counts = (data["message_count"].as_u64(), data["rejected_count"].as_u64());
        assert_eq!(counts, (Some(message_count), Some(rejected_count)), "{json}");
        data.clone()
    }
}

/// A connection on which a request can be written in pieces.
pub(crate) struct Connection(pub(crate) TcpStream);

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// The head of a request, with one header of its own.
    pub(crate) async fn begin(&mut self, path: &str, header: &str) {
        let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n{header}\r\n\r\n");
        self.write(head).await;
    }

    /// Says that nothing more will be written.
    pub(crate) async fn end(&mut self) {
        self.0.shutdown().await.unwrap();
    }

    /// An answer that comes while the request is still being written; the connection stays open.
    pub(crate) async fn early_answer(&mut self) -> Answer {
        let mut text = String::new();
        let read = async {
            loop {
                text.push(char::from(self.0.read_u8().await.unwrap()));
                let Some((_, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                let length: usize = parse(&text).header("content-length").unwrap().parse().unwrap();
                if body.len() == length {
                    return parse(&text);
                }
            }
        };
        tokio::time::timeout(DEADLINE, read).await.expect("an answer in time")
    }

    /// Reads `100 Continue`, for which the head must have asked.
    pub(crate) async fn continues(&mut self) {
        let mut bytes = *b"HTTP/1.1 100 Continue\r\n\r\n";
        let expected = bytes;
        let read = tokio::time::timeout(DEADLINE, self.0.read_exact(&mut bytes));
        read.await.expect("an answer in time").unwrap();
        assert_eq!(bytes, expected);
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Writes what the service takes of this before it closes the connection, and reads nothing.
    pub(crate) async fn write_what_is_taken(&mut self, bytes: impl AsRef<[u8]>) {
        let write = tokio::time::timeout(DEADLINE, self.0.write_all(bytes.as_ref()));
        let _all_of_it = write.await.expect("an end in time").is_ok();
    }

    /// Whether the service closes the connection without an answer.
    pub(crate) async fn closes(mut self) -> bool {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut bytes));
        // Closed with bytes unread may be a reset.
        let _reset = read.await.expect("an end in time").is_err();
        bytes.is_empty()
    }

    /// The answer, up to the end of the connection (`connection: close` must have been asked for, or the service closes).
    pub(crate) async fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(DEADLINE, self.0.read_to_end(&mut bytes));
        read.await.expect("an answer in time").unwrap();
        parse(&String::from_utf8(bytes).unwrap())
    }
}

/// Sends one request on a connection of its own.
pub(crate) async fn send(address: SocketAddr, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    let mut connection = Connection::open(address).await;
    let mut head = format!("{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    head.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    connection.write(head).await;
    connection.write(body).await;
    connection.answer().await
}

pub(crate) async fn post(address: SocketAddr, path: &str, headers: &[&str], body: &[u8]) -> Answer {
    send(address, "POST", path, headers, body).await
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> Answer {
    send(address, "GET", path, &[], b"").await
}

fn parse(text: &str) -> Answer {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| {
        line.split_once(": ")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
    });
    Answer {
        status,
        headers: headers.collect(),
        body: body.to_owned(),
    }
}
