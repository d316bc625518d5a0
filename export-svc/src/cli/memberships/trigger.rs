//! `memberships trigger`.

use std::path::{Path, PathBuf};

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
        let requests = lines(open(&self.file).await?, unread).map(move |line| PublishMembershipChangesRequest {
            trigger_message: Some(TriggerMessage {
                account,
                profile_id_field: field.clone(),
                json: line.into(),
            }),
            ..Default::default()
        });
        let answers = client.publish_membership_changes(requests).await.map_err(refused)?;
        let mut answers = answers.into_inner();
        let (mut published, mut ignored, mut rejected) = (0, 0, 0);
        while let Some(answer) = answers.message().await.map_err(refused)? {
            match answer.outcome {
                Some(Outcome::PublishedTrigger(trigger)) => {
                    published += trigger.published.len();
                    ignored += trigger.ignored;
                }
                Some(Outcome::RejectedReason(reason)) => {
                    rejected += 1;
                    eprintln!("line {}: {reason}", answer.index + 1);
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

/// Each line, empty ones included, so that the answers count them. An error ends it, and is told to `unread`.
fn lines(input: Input, unread: oneshot::Sender<std::io::Error>) -> impl Stream<Item = String> + Send + 'static {
    stream::unfold((input.lines(), unread), |(mut lines, unread)| async {
        match lines.next_line().await {
            Ok(line) => Some((line?, (lines, unread))),
            Err(error) => {
                drop(unread.send(error));
                None
            }
        }
    })
}
