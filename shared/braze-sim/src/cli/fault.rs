//! `braze-sim fault`.

use std::time::Duration;

use braze_sim::{Fault, FaultKind};
use clap::{Args, Subcommand};
use http::Method;
use serde_json::{Value, json};

use super::client::{Client, Failure};
use super::{Target, duration, print_pretty};

/// Make the next calls of POST /users/track, or of another path, fail, wait or hang
///
/// A fault strikes every call until it is cleared, or the next N calls (--next), or a share
/// of them (--rate 0.1), or those with one key (--key K). Of several armed faults the one armed first strikes. Examples:
///
///   braze-sim fault status 503 --next 3
///   braze-sim fault status 429 --retry-after 5s --next 1
///   braze-sim fault delay 2s --rate 0.2
///   braze-sim fault drop-after --apply-after 30s   # the client sees a reset; applied 30 s later
///   braze-sim fault hold                           # calls hang until: braze-sim fault release
///   braze-sim fault status 503 --path /users/export/segment --next 1
///   braze-sim fault no-callback --next 1           # an export of a segment that nobody hears of
///   braze-sim fault refuse cust-1 cust-2
///   braze-sim fault reject-key sim-key
///   braze-sim fault clear
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct FaultCommand {
    #[command(flatten)]
    target: Target,
    #[command(subcommand)]
    command: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Answer with this status, without effect
    Status {
        /// 429, 500, 502, 503, 504, …
        #[arg(value_parser = clap::value_parser!(u16).range(400..=599))]
        status: u16,
        /// With 429: how long the client is told to wait
        #[arg(long, value_parser = duration)]
        retry_after: Option<Duration>,
        #[command(flatten)]
        apply: Apply,
        #[command(flatten)]
        often: Often,
    },
    /// Carry the call out, and answer this much later
    Delay {
        /// Such as 2s
        #[arg(value_parser = duration)]
        by: Duration,
        #[command(flatten)]
        apply: Apply,
        #[command(flatten)]
        often: Often,
    },
    /// Close the connection before the body is read; the call has no effect
    DropBefore {
        #[command(flatten)]
        often: Often,
    },
    /// Carry the call out, and close the connection in place of the answer
    DropAfter {
        #[command(flatten)]
        apply: Apply,
        #[command(flatten)]
        often: Often,
    },
    /// Export the next segment without calling back
    NoCallback {
        #[command(flatten)]
        often: Often,
    },
    /// Call back twice for the next export of a segment
    TwoCallbacks {
        #[command(flatten)]
        often: Often,
    },
    /// Write the last file of the next export of a segment this long after the callback
    LateFile {
        /// Such as 2s
        #[arg(value_parser = duration)]
        by: Duration,
        #[command(flatten)]
        often: Often,
    },
    /// Cut off the first file of the next export of a segment in its middle
    BrokenFile {
        #[command(flatten)]
        often: Often,
    },
    /// Let calls hang until `fault release`; they are carried out then, whether or not the client has waited
    Hold {
        #[command(flatten)]
        often: Often,
    },
    /// Let held calls go on
    Release,
    /// Refuse every object with one of these external ids
    Refuse {
        /// The external ids
        #[arg(required = true)]
        external_ids: Vec<String>,
        /// What the error says
        #[arg(long, default_value = "this external id is refused by a fault of the simulator")]
        text: String,
    },
    /// From now on answer 401 to this key
    RejectKey {
        /// The key
        key: String,
    },
    /// Print what is armed
    List,
    /// Disarm everything, and release what is held
    Clear,
}

#[derive(Debug, Args)]
struct Apply {
    /// The call takes effect all the same, this long after it came
    #[arg(long, value_parser = duration)]
    apply_after: Option<Duration>,
}

#[derive(Debug, Args)]
struct Often {
    /// Only the next so many calls
    #[arg(long)]
    next: Option<u64>,
    /// Only this share of calls, 0 to 1
    #[arg(long)]
    rate: Option<f64>,
    /// Calls of this path instead of /users/track, such as /users/export/segment
    #[arg(long)]
    path: Option<String>,
    /// Only calls with this key
    #[arg(long)]
    key: Option<String>,
}

impl FaultCommand {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let client = Client::new(&self.target.endpoint)?;
        if let Some((method, path, body)) = self.command.request() {
            client.send(method, path, &body).await?;
        }
        print_pretty(&client.get("faults", &[], Duration::ZERO).await?);
        Ok(())
    }
}

impl What {
    /// What to ask of the admin API; none if it is enough to print what is armed.
    fn request(self) -> Option<(Method, &'static str, Value)> {
        let (kind, often) = match self {
            Self::Status {
                status,
                retry_after,
                apply,
                often,
            } => (
                FaultKind::Status {
                    status,
                    retry_after,
                    apply_after: apply.apply_after,
                },
                often,
            ),
            Self::Delay { by, apply, often } => (
                FaultKind::Delay {
                    by,
                    apply_after: apply.apply_after,
                },
                often,
            ),
            Self::DropBefore { often } => (FaultKind::DropBefore {}, often),
            Self::DropAfter { apply, often } => (
                FaultKind::DropAfter {
                    apply_after: apply.apply_after,
                },
                often,
            ),
            Self::Hold { often } => (FaultKind::Hold {}, often),
            Self::NoCallback { often } => (FaultKind::NoCallback {}, often),
            Self::TwoCallbacks { often } => (FaultKind::TwoCallbacks {}, often),
            Self::LateFile { by, often } => (FaultKind::LateFile { by }, often),
            Self::BrokenFile { often } => (FaultKind::BrokenFile {}, often),
            Self::Release => return Some((Method::POST, "faults/release", Value::Null)),
            Self::Refuse { external_ids, text } => {
                let body = json!({ "external_ids": external_ids, "text": text });
                return Some((Method::POST, "faults/refuse", body));
            }
            Self::RejectKey { key } => return Some((Method::POST, "keys/reject", json!({ "key": key }))),
            Self::List => return None,
            Self::Clear => return Some((Method::DELETE, "faults", Value::Null)),
        };
        let fault = Fault {
            next: often.next,
            rate: often.rate,
            path: often.path,
            key: often.key,
            ..Fault::new(kind)
        };
        Some((Method::POST, "faults", json!(fault)))
    }
}
