//! `jobs omitted`.

use clap::Args;
use proto::export::v1 as wire;
use proto::export::v1::omitted_change_service_client::OmittedChangeServiceClient;
use proto::export::v1::rejected_change::Identifier;
use proto::export::v1::tail_omitted_changes_request::From;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::tail::{self, Tail};
use crate::cli::output::{Show, time};
use crate::cli::refused;
use crate::cli::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Omitted {
    #[command(flatten)]
    job: One,
    /// Only those with this reason, such as no_identifier; may be given several times.
    #[arg(long = "reason", value_name = "REASON")]
    reasons: Vec<String>,
    #[command(flatten)]
    tail: Tail,
}

impl Omitted {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.job.find::<wire::ExportJob>().await?;
        let from = if self.tail.all {
            From::Oldest(())
        } else {
            From::Newest(self.tail.newest)
        };
        let request = wire::TailOmittedChangesRequest {
            name,
            reasons: self.reasons,
            from: Some(from),
            follow: self.tail.follow,
        };
        let mut client = OmittedChangeServiceClient::new(channel);
        let answers = client.tail_omitted_changes(request).await.map_err(refused)?;
        tail::print(self.job.remote.output, answers.into_inner(), |answer| answer).await
    }
}

impl Show for wire::TailOmittedChangesResponse {
    const COLUMNS: &'static [&'static str] = &["KEPT", "AUDIENCE", "ACTION", "PROFILE", "REASON", "DETAIL"];

    fn row(&self) -> Vec<String> {
        let rejected = self.change.clone().unwrap_or_default();
        let change = rejected.change.unwrap_or_default();
        let detail = if rejected.braze_message.is_empty() {
            rejected.detail
        } else {
            rejected.braze_message
        };
        vec![
            time(self.keep_time).as_str().unwrap_or_default().to_owned(),
            change.audience_slug.clone(),
            action(&change).to_owned(),
            change.profile_id,
            rejected.reason,
            detail,
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let rejected = self.change.clone().unwrap_or_default();
        let change = rejected.change.unwrap_or_default();
        let identifier = match rejected.identifier {
            None => Value::Null,
            Some(Identifier::ExternalId(id)) => json!({ "externalId": id }),
            Some(Identifier::BrazeId(id)) => json!({ "brazeId": id }),
            Some(Identifier::Email(address)) => json!({ "email": address }),
            Some(Identifier::Phone(number)) => json!({ "phone": number }),
            Some(Identifier::UserAlias(alias)) => json!({ "userAlias": { "label": alias.label, "name": alias.name } }),
        };
        vec![
            ("keepTime", time(self.keep_time)),
            ("job", json!(rejected.job)),
            ("audience", json!(change.audience_slug)),
            ("action", json!(action(&change))),
            ("profileId", json!(change.profile_id)),
            ("fields", json!(change.fields)),
            ("identifier", identifier),
            ("reason", json!(rejected.reason)),
            ("detail", json!(rejected.detail)),
            ("brazeMessage", json!(rejected.braze_message)),
            ("attempts", json!(rejected.attempts)),
            ("topic", json!(rejected.topic)),
            ("partition", json!(rejected.partition)),
            ("offset", json!(rejected.offset)),
        ]
    }
}

fn action(change: &proto::membership::v1::MembershipChange) -> &'static str {
    use proto::membership::v1::MembershipAction as Action;
    match change.action() {
        Action::Enter => "enter",
        Action::Exit => "exit",
        Action::Unspecified => "",
    }
}
