//! A server of a few lines on a real socket: one scripted reply per request.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::thread;

/// What the server does with one request.
pub(crate) enum Reply {
    /// Reads it and writes these bytes.
    Bytes(String),
    /// Reads it, writes these bytes and closes.
    BytesThenClose(String),
    /// Closes without reading, which resets the connection.
    Reset,
    /// Reads it and keeps the connection open without a word.
    Silence,
}

/// An answer with a status, further header lines and a body.
pub(crate) fn answer(status: &str, headers: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
}

/// A request as it was on the wire, with the number of the connection it came on.
pub(crate) struct Request {
    pub(crate) connection: usize,
    pub(crate) head: String,
    pub(crate) body: String,
}

pub(crate) struct Server {
    pub(crate) address: String,
    requests: Receiver<Request>,
}

impl Server {
    /// Listens on a free port; ends with its last reply.
    pub(crate) fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (sender, requests) = mpsc::sync_channel(64);
        thread::spawn(move || serve(&listener, replies, &sender));
        Self { address, requests }
    }

    /// The requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.try_iter().collect()
    }
}

fn serve(listener: &TcpListener, replies: Vec<Reply>, requests: &SyncSender<Request>) {
    let mut silent = Vec::new();
    let mut open: Option<(usize, BufReader<TcpStream>)> = None;
    let mut connections = 0;
    for reply in replies {
        let (connection, mut stream) = open.take().unwrap_or_else(|| {
            connections += 1;
            (connections, BufReader::new(listener.accept().unwrap().0))
        });
        if matches!(reply, Reply::Reset) {
            // Unread bytes turn the close into a reset.
            stream.fill_buf().unwrap();
            continue;
        }
        let Some((head, body)) = read(&mut stream) else { return };
        // The test may be done with the server by now.
        requests.send(Request { connection, head, body }).ok();
        match reply {
            Reply::Bytes(bytes) => {
                stream.get_mut().write_all(bytes.as_bytes()).unwrap();
                open = Some((connection, stream));
            }
            Reply::BytesThenClose(bytes) => stream.get_mut().write_all(bytes.as_bytes()).unwrap(),
            Reply::Silence => silent.push(stream),
            Reply::Reset => unreachable!("handled above"),
        }
    }
    // Silent connections stay open until the client gives up.
    for mut stream in silent {
        stream.read_exact(&mut [0]).ok();
    }
}

fn read(stream: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((head, String::from_utf8(body).ok()?))
}
