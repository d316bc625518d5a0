//! A running export: it writes the segment's users file by file, and then calls back (reference §5.2, §5.3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use object_store::ObjectStoreExt;
use object_store::path::Path;
use rand::Rng;
use reqwest::redirect;
use serde_json::{Value, json};

use crate::exports::{Callback, Download};
use crate::faults::FaultKind;
use crate::pack::{Format, pack};
use crate::segments::Segment;
use crate::shared::Shared;
use crate::users::{User, exported};

/// How long a callback endpoint may take.
const CALLBACK_TIMEOUT: Duration = Duration::from_secs(30);

/// An export that was accepted.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) segment: Segment,
    pub(crate) fields: BTreeSet<String>,
    /// Single custom attributes; without a meaning if `fields` names all of them.
    pub(crate) custom_attributes: BTreeSet<String>,
    pub(crate) callback: Option<reqwest::Url>,
    pub(crate) format: Format,
    pub(crate) prefix: String,
    /// Where it can be fetched, if there is no storage.
    pub(crate) url: Option<String>,
    pub(crate) delay: Duration,
    pub(crate) fault: Option<FaultKind>,
}

/// Why an export ends early.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("a file could not be packed: {0}")]
    Pack(#[from] zip::result::ZipError),
    #[error("a file could not be written: {0}")]
    Store(#[from] object_store::Error),
    #[error("the packing ended early: {0}")]
    Gone(#[from] tokio::task::JoinError),
}

/// A packed file and the users in it.
struct File {
    name: String,
    bytes: Vec<u8>,
    users: usize,
}

/// Runs until done, or until the simulator stops.
pub(crate) async fn run(shared: Arc<Shared>, job: Job) {
    let job = Arc::new(job);
    tokio::select! {
        done = export(&shared, &job) => if let Err(error) = done {
            // Braze writes an e-mail.
            tracing::warn!(segment = job.segment.id, %error, "an export failed");
            change(&shared, &job, |run| run.error = Some(error.to_string()));
            end(&shared, &job);
        },
        () = shared.stop.cancelled() => {}
    }
}

async fn export(shared: &Arc<Shared>, job: &Arc<Job>) -> Result<(), Error> {
    tokio::time::sleep(job.delay).await;
    let settings = Arc::clone(&shared.state().settings);
    let days = SignedDuration::from_hours(24 * i64::from(settings.segment_export.next_day));
    let date = Timestamp::now()
        .saturating_add(days)
        .unwrap_or_default()
        .strftime("%Y-%m-%d");
    let folder = format!("segment-export/{}/{date}/{}", job.segment.id, job.prefix);
    let users_max = match shared.store {
        Some(_) => settings.segment_export.users_per_file.max(1),
        None => usize::MAX,
    };

    let (mut at, mut last) = (0, None);
    for number in 0.. {
        let users = members(shared, &job.segment, &mut at, users_max);
        if users.is_empty() && (number > 0 || shared.store.is_some()) {
            break;
        }
        let mut file = packed(shared, job, users).await?;
        if number == 0 && job.fault == Some(FaultKind::BrokenFile {}) {
            file.bytes.truncate(file.bytes.len() / 2);
        }
        if let Some(file) = last.replace(file) {
            write(shared, job, &folder, file).await?;
        }
    }
    let late = match job.fault {
        Some(FaultKind::LateFile { by }) => last.take().map(|file| (by, file)),
        _ => None,
    };
    if let Some(file) = last {
        write(shared, job, &folder, file).await?;
    }
    // Whoever is called back may ask for the segment again.
    end(shared, job);
    call_back(shared, job).await;
    if let Some((by, file)) = late {
        tokio::time::sleep(by).await;
        write(shared, job, &folder, file).await?;
    }
    Ok(())
}

/// The next users of the segment, in order of creation; `at` goes behind the last of them.
fn members(shared: &Shared, segment: &Segment, at: &mut usize, max: usize) -> Vec<User> {
    let state = shared.state();
    let mut members = Vec::new();
    let Some(workspace) = state.workspaces.get(&segment.workspace) else {
        return members;
    };
    for user in workspace.users.since(*at) {
        if members.len() == max {
            break;
        }
        *at += 1;
        if segment.holds(user) {
            members.push(user.clone());
        }
    }
    members
}

async fn packed(shared: &Shared, job: &Arc<Job>, users: Vec<User>) -> Result<File, Error> {
    let name = format!("{:032x}", shared.state().random.random::<u128>());
    let job = Arc::clone(job);
    // Compression takes longer than a task may.
    let packing = tokio::task::spawn_blocking(move || {
        let lines: Vec<Vec<u8>> = users.iter().map(|user| job.line(user)).collect();
        Ok(File {
            bytes: pack(job.format, &name, &lines)?,
            name,
            users: users.len(),
        })
    });
    packing.await?
}

async fn write(shared: &Shared, job: &Job, folder: &str, file: File) -> Result<(), Error> {
    let key = format!("{folder}/{}.{}", file.name, job.format.extension());
    match &shared.store {
        Some(store) => drop(store.put(&Path::from(key.as_str()), file.bytes.into()).await?),
        None => shared.state().exports.keep(Download {
            prefix: job.prefix.clone(),
            bytes: file.bytes.into(),
            since: Timestamp::now(),
        }),
    }
    change(shared, job, |run| {
        run.users += file.users;
        if job.url.is_none() {
            run.files.push(key);
        }
    });
    Ok(())
}

async fn call_back(shared: &Shared, job: &Job) {
    let Some(callback) = &job.callback else { return };
    let times = match job.fault {
        Some(FaultKind::NoCallback {}) => 0,
        Some(FaultKind::TwoCallbacks {}) => 2,
        _ => 1,
    };
    let mut body = json!({ "success": true });
    if let Some(url) = &job.url {
        body["url"] = json!(url);
    }
    for _ in 0..times {
        let status = match post(callback.clone(), &body).await {
            Ok(status) => Some(status),
            Err(error) => {
                tracing::warn!(segment = job.segment.id, error = %error.without_url(), "nobody could be called back");
                None
            }
        };
        let at = Timestamp::now();
        change(shared, job, |run| run.callbacks.push(Callback { at, status }));
    }
}

async fn post(callback: reqwest::Url, body: &Value) -> Result<u16, reqwest::Error> {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(CALLBACK_TIMEOUT)
        .redirect(redirect::Policy::none())
        .build()?;
    Ok(http.post(callback).json(body).send().await?.status().as_u16())
}

fn end(shared: &Shared, job: &Job) {
    change(shared, job, |run| run.ended_at = Some(Timestamp::now()));
}

fn change(shared: &Shared, job: &Job, change: impl FnOnce(&mut crate::Export)) {
    shared.state().exports.change(&job.prefix, change);
    shared.changed();
}

impl Job {
    /// A user as the files have it.
    fn line(&self, user: &User) -> Vec<u8> {
        const CUSTOM: &str = "custom_attributes";
        let all = self.fields.contains(CUSTOM);
        let some = !self.custom_attributes.is_empty();
        let mut line = exported(user, |key| self.fields.contains(key) || (some && key == CUSTOM));
        if !all && let Some(custom) = line.get_mut(CUSTOM).and_then(Value::as_object_mut) {
            custom.retain(|name, _| self.custom_attributes.contains(name));
            if custom.is_empty()
                && let Some(line) = line.as_object_mut()
            {
                line.remove(CUSTOM);
            }
        }
        line.to_string().into_bytes()
    }
}
