//! `memberships trigger`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, anyhow};
use clap::Args;
use futures::{Stream, StreamExt, stream};
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{PublishMembershipChangesRequest, TriggerMessage};
use runtime::exit::Failure;
use serde_json::json;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::sync::oneshot;

use crate::cli::{Account, Remote, refused};

#[derive(Debug, Args)]
pub(in crate::cli) struct Trigger {
    #[command(flatten)]
    account: Account,
    /// The field of `data` that holds the profile's id.
    #[arg(long, value_name = "FIELD")]
    profile_id_field: String,
    /// File to read; - is the standard input.
    #[arg(value_name = "FILE", default_value = "-")]
    file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

impl Trigger {
    /// Publishes line by line, and says which lines were rejected. Only as many lines are read ahead as the service takes.
    pub(super) async fn run(self) -> Result<(), Failure> {
        let account = self.account.account.get();
        let mut client = AudienceMembershipServiceClient::new(self.remote.connect().await?);
        let (unread, broken) = oneshot::channel();
        let field = self.profile_id_field;
        // Which lines are not answered yet, in order: as many as the service takes.
        let unanswered = Arc::new(Mutex::new(VecDeque::new()));
        let sent = Arc::clone(&unanswered);
        let requests = lines(open(&self.file).await?, unread).map(move |(number, line)| {
            lock(&sent).push_back(number);
            PublishMembershipChangesRequest {
                trigger_message: Some(TriggerMessage {
                    account,
                    profile_id_field: field.clone(),
                    json: line.into(),
                }),
                ..Default::default()
            }
        });
        let answers = client.publish_membership_changes(requests).await.map_err(refused)?;
        let mut answers = answers.into_inner();
        let (mut published, mut ignored, mut rejected) = (0, 0, 0);
        while let Some(answer) = answers.message().await.map_err(refused)? {
            let line = lock(&unanswered).pop_front().unwrap_or_default();
            match answer.outcome {
                Some(Outcome::PublishedTrigger(trigger)) => {
                    published += trigger.published.len();
                    ignored += trigger.ignored;
                }
                Some(Outcome::RejectedReason(reason)) => {
                    rejected += 1;
                    eprintln!("line {line}: {reason}");
                }
                Some(Outcome::Published(_)) | None => {}
            }
        }
        self.remote.output.done(
            &format!("published {published} changes; ignored {ignored} other events; rejected {rejected} messages"),
            vec![
                ("published", json!(published)),
                ("ignored", json!(ignored)),
                ("rejected", json!(rejected)),
            ],
        );
        if let Ok(error) = broken.await {
            return Err(Failure::call(anyhow!(error).context(self.file.display().to_string())));
        }
        if rejected > 0 {
            return Err(Failure::call(anyhow!("{rejected} messages were rejected")));
        }
        Ok(())
    }
}

type Input = Box<dyn AsyncBufRead + Send + Unpin>;

async fn open(file: &Path) -> Result<Input, Failure> {
    if file.as_os_str() == "-" {
        return Ok(Box::new(BufReader::new(tokio::io::stdin())));
    }
    let opened = tokio::fs::File::open(file).await;
    let opened = opened
        .with_context(|| file.display().to_string())
        .map_err(Failure::call)?;
    Ok(Box::new(BufReader::new(opened)))
}

/// Each line that is not blank, with its number, from 1. An error ends it, and is told to `unread`.
fn lines(input: Input, unread: oneshot::Sender<std::io::Error>) -> impl Stream<Item = (u64, String)> + Send + 'static {
    stream::unfold(
        (input.lines(), 0, unread),
        |(mut lines, mut number, unread)| async move {
            loop {
                number += 1;
                match lines.next_line().await {
                    Ok(Some(blank)) if blank.trim().is_empty() => {}
                    Ok(line) => return Some(((number, line?), (lines, number, unread))),
                    Err(error) => {
                        drop(unread.send(error));
                        return None;
                    }
                }
            }
        },
    )
}

/// Whatever panicked elsewhere, the numbers are good.
fn lock(numbers: &Mutex<VecDeque<u64>>) -> MutexGuard<'_, VecDeque<u64>> {
    numbers.lock().unwrap_or_else(PoisonError::into_inner)
}
