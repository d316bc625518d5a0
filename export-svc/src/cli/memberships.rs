//! `memberships`.

mod trigger;

use std::collections::HashMap;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use jiff::Timestamp;
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{MembershipAction, MembershipChange, PublishMembershipChangesRequest, PublishedAt};
use runtime::exit::Failure;
use serde_json::json;

use self::trigger::Trigger;
use super::{Account, Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Memberships {
    /// Publish that a profile entered or left an audience.
    ///
    /// To try a job out with a profile of your own. The answer comes after Kafka has the change.
    #[command(after_long_help = examples!(
        "memberships publish --account 1234 --audience vip --profile 42 \\\n      --enter --field user_id=cust-1",
        "memberships publish --account 1234 --audience vip --profile 42 \\\n      --exit --field user_id=cust-1",
    ))]
    Publish(Publish),
    /// Publish what Lytics' trigger messages say, one message of JSON per line.
    ///
    /// For what a webhook of Lytics has sent, or would send.
    ///
    /// Plain or as CloudEvents. Each enter and exit among a message's segment_events is published. Blank lines are passed over.
    #[command(after_long_help = examples!(
        "memberships trigger --account 1234 \\\n      --profile-id-field uid messages.ndjson",
        "memberships trigger --account 1234 \\\n      --profile-id-field uid < messages.ndjson",
    ))]
    Trigger(Trigger),
}

#[derive(Debug, Args)]
pub(super) struct Publish {
    #[command(flatten)]
    account: Account,
    /// Slug of the audience.
    #[arg(long, value_name = "SLUG")]
    audience: String,
    /// Id of the profile.
    #[arg(long, value_name = "ID")]
    profile: String,
    #[command(flatten)]
    action: Action,
    /// A field of the profile, such as user_id=cust-1; may be given several times. Jobs choose Braze's identifiers from these,
    /// on exits too.
    #[arg(long = "field", value_name = "NAME=VALUE", value_parser = pair)]
    fields: Vec<(String, String)>,
    /// What a field was before this change, where it differs; may be given several times.
    #[arg(long = "previous-field", value_name = "NAME=VALUE", value_parser = pair)]
    previous_fields: Vec<(String, String)>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Action {
    /// The profile is a member now.
    #[arg(long)]
    enter: bool,
    /// The profile is no member any more.
    #[arg(long)]
    exit: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as name=value")?;
    model::text::label(name).map_err(|error| format!("the name {error}"))?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Memberships {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Publish(publish) => publish.run().await,
            Self::Trigger(trigger) => trigger.run().await,
        }
    }
}

impl Publish {
    async fn run(self) -> Result<(), Failure> {
        let publish = self;
        let remote = &publish.remote;
        let action = if publish.action.enter {
            MembershipAction::Enter
        } else {
            MembershipAction::Exit
        };
        let change = MembershipChange {
            account: publish.account.account.get(),
            audience_id: publish.audience.clone(),
            audience_slug: publish.audience.clone(),
            profile_id: publish.profile.clone(),
            action: action.into(),
            event_time: Some(model::time::to_wire(Timestamp::now())),
            fields: publish.fields.into_iter().collect::<HashMap<_, _>>(),
            previous_fields: publish.previous_fields.into_iter().collect::<HashMap<_, _>>(),
        };
        let mut client = AudienceMembershipServiceClient::new(remote.connect().await?);
        let request = futures::stream::iter([PublishMembershipChangesRequest {
            change: Some(change),
            ..Default::default()
        }]);
        let mut answers = client
            .publish_membership_changes(request)
            .await
            .map_err(refused)?
            .into_inner();
        let answer = answers
            .message()
            .await
            .map_err(refused)?
            .and_then(|answer| answer.outcome);
        match answer {
            Some(Outcome::Published(PublishedAt { partition, offset })) => {
                let word = if action == MembershipAction::Enter {
                    "enter"
                } else {
                    "exit"
                };
                let (audience, profile) = (publish.audience, publish.profile);
                remote.output.done(
                    &format!("published: {word} of profile {profile}, audience {audience} (partition {partition}, offset {offset})"),
                    vec![("partition", json!(partition)), ("offset", json!(offset))],
                );
                Ok(())
            }
            Some(Outcome::RejectedReason(reason)) => Err(Failure::call(anyhow!("rejected: {reason}"))),
            Some(Outcome::PublishedTrigger(_)) | None => Err(Failure::call(anyhow!(
                "the service ended the call without an answer; publish it again"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_split_at_its_first_equals_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert_eq!(pair("a="), Ok(("a".to_owned(), String::new())));
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }
}
