//! Somebody who is called back: an HTTP listener of a few lines.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::within;

/// A call as it came: the request line and the body.
#[derive(Debug, Clone)]
pub(crate) struct Called {
    pub(crate) line: String,
    pub(crate) body: Value,
}

/// Listens until dropped, and answers 204.
pub(crate) struct Callbacks {
    pub(crate) url: String,
    calls: watch::Receiver<Vec<Called>>,
    _listening: JoinSet<()>,
}

impl Callbacks {
    pub(crate) async fn listen() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/done?token=t", listener.local_addr().unwrap());
        let (sender, calls) = watch::channel(Vec::new());
        let mut listening = JoinSet::new();
        listening.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let called = read(stream).await;
                sender.send_modify(|calls| calls.push(called));
            }
        });
        Self {
            url,
            calls,
            _listening: listening,
        }
    }

    /// Waits for so many calls.
    pub(crate) async fn first(&self, calls: usize) -> Vec<Called> {
        let mut seen = self.calls.clone();
        within(async { seen.wait_for(|seen| seen.len() >= calls).await.unwrap().clone() }).await
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.borrow().len()
    }
}

async fn read(stream: TcpStream) -> Called {
    let mut stream = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).await.unwrap() > 0, "{head}");
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap();
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
    Called {
        line: head.lines().next().unwrap().to_owned(),
        body: serde_json::from_slice(&body).unwrap(),
    }
}
