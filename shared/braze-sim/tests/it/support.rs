//! A simulator on a free port and a client made of a TCP connection.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;

use braze_sim::{DEFAULT_WORKSPACE, Options, Settings, Sim, SimHandle, User, UserRef};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Long enough for a busy machine; a wait that takes this long has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// Fails the test instead of hanging.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .expect("the condition came true in time")
}

pub(crate) struct Rig {
    pub(crate) sim: Sim,
    pub(crate) handle: SimHandle,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Status line and headers, as they came.
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.body))
    }

    /// The value of a header whose name came in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub(crate) fn number(&self, name: &str) -> i64 {
        self.header(name)
            .unwrap_or_else(|| panic!("no {name} in {}", self.head))
            .parse()
            .unwrap()
    }
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With other settings. Calls are applied at once unless the settings say otherwise.
    pub(crate) async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let mut options = Options::default();
        options.settings.apply_delay = Duration::ZERO;
        change(&mut options.settings);
        Self::of(options).await
    }

    pub(crate) async fn of(options: Options) -> Self {
        let sim = Sim::start(options).await.unwrap();
        Self {
            handle: sim.handle(),
            sim,
        }
    }

    /// Sends bytes and reads until the simulator closes; none if it closes without an answer.
    pub(crate) async fn raw(&self, request: &str) -> Option<Answer> {
        raw(self.sim.local_addr(), request).await
    }

    /// `POST` with the default key and a JSON body.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Option<Answer> {
        self.raw(&request(
            path,
            "authorization: Bearer sim-key\r\ncontent-type: application/json\r\n",
            body,
        ))
        .await
    }

    /// `GET` with the default key, which must be answered.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        let head = format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n",
            self.sim.local_addr()
        );
        let request = format!("{head}authorization: Bearer sim-key\r\n\r\n");
        self.raw(&request).await.expect("an answer")
    }

    /// `POST /users/track`, which must be answered.
    pub(crate) async fn track(&self, body: &str) -> Answer {
        self.post("/users/track", body).await.expect("an answer")
    }

    /// `POST /users/track` that must be accepted whole, and has been applied when this returns.
    pub(crate) async fn applied(&self, body: &str) {
        let answer = self.track(body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        assert_eq!(answer.json().get("errors"), None);
        within(self.handle.idle()).await;
    }

    pub(crate) fn user(&self, external_id: &str) -> Option<User> {
        self.handle.user(DEFAULT_WORKSPACE, &UserRef::external_id(external_id))
    }

    pub(crate) fn users(&self) -> Vec<User> {
        self.handle.users(DEFAULT_WORKSPACE)
    }

    /// A custom attribute of a user that must exist.
    pub(crate) fn attribute(&self, external_id: &str, name: &str) -> Option<Value> {
        self.user(external_id)
            .expect("the user exists")
            .custom_attributes
            .get(name)
            .cloned()
    }
}

/// A request with these further headers, each with its line end.
pub(crate) fn request(path: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}")
}

pub(crate) async fn raw(address: SocketAddr, request: &str) -> Option<Answer> {
    within(async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        // A simulator that closes early may make either fail; what counts is whether an answer came.
        drop(stream.write_all(request.as_bytes()).await);
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes).await);
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Answer {
            status,
            head: head.replace("\r\n", "\n"),
            body: body.to_owned(),
        })
    })
    .await
}
