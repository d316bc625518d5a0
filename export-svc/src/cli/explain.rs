//! `explain`.

use clap::Args;
use model::AccountNumber;
use proto::export::v1 as wire;
use proto::export::v1::explain_service_client::ExplainServiceClient;
use proto::membership::v1::MembershipAction;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::output::{Output, Show, time};
use super::resource::resolve;
use super::{Remote, refused};

#[derive(Debug, Args)]
pub(super) struct Explain {
    /// The export job: its name in full, or with --account its label or the last part of its name.
    #[arg(long, value_name = "NAME")]
    job: String,
    /// Id of the profile, as Lytics publishes it.
    #[arg(long, value_name = "ID")]
    profile: String,
    /// Only this audience of the job; may be given several times.
    #[arg(long = "audience", value_name = "SLUG")]
    audiences: Vec<String>,
    /// Number of the account; not needed with a name in full.
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountNumber>,
    #[command(flatten)]
    remote: Remote,
}

impl Explain {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let channel = self.remote.connect().await?;
        let name = resolve::<wire::ExportJob>(&channel, self.account, &self.job).await?;
        let request = wire::ExplainMemberRequest {
            name,
            profile_id: self.profile,
            audiences: self.audiences,
        };
        let answer = ExplainServiceClient::new(channel).explain_member(request).await;
        let explanations = answer.map_err(refused)?.into_inner().explanations;
        match (&explanations[..], self.remote.output) {
            ([one], Output::Text) => self.remote.output.one(one),
            _ => self.remote.output.list(&explanations),
        }
        Ok(())
    }
}

impl Show for wire::MemberExplanation {
    const COLUMNS: &'static [&'static str] = &["AUDIENCE", "STAGE", "AT BRAZE", "WHY"];

    fn row(&self) -> Vec<String> {
        let stage = self.standing.as_ref().map(|standing| stage(standing.stage()));
        let at_braze = match &self.braze_user {
            Some(user) if !user.problem.is_empty() => "not known",
            Some(user) if user.has_slug => "has it",
            Some(_) => "has it not",
            None => "",
        };
        vec![
            self.audience.clone(),
            stage.unwrap_or_default(),
            at_braze.to_owned(),
            self.sentence.clone(),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("audience", json!(self.audience)),
            ("profileId", json!(self.profile_id)),
            ("sentence", json!(self.sentence)),
            ("lastRecord", self.last_record.as_ref().map_or(Value::Null, last_record)),
            ("incomplete", if self.incomplete { json!(true) } else { Value::Null }),
            ("identifiers", self.identifiers.iter().map(identifier).collect()),
            ("standing", self.standing.as_ref().map_or(Value::Null, standing)),
            ("rejected", self.rejected.as_ref().map_or(Value::Null, rejected)),
            ("keepTime", time(self.keep_time)),
            ("sentAgainTime", time(self.sent_again_time)),
            ("brazeUser", self.braze_user.as_ref().map_or(Value::Null, braze_user)),
            (
                "updateExistingOnly",
                if self.update_existing_only {
                    json!(true)
                } else {
                    Value::Null
                },
            ),
        ]
    }
}

/// Without what says nothing, which would hide the rest.
fn object(fields: &[(&str, Value)]) -> Value {
    let says = |value: &Value| match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_i64() != Some(0),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) => true,
    };
    let fields = fields.iter().filter(|(_, value)| says(value));
    Value::Object(fields.map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

fn last_record(record: &wire::LastRecord) -> Value {
    let change = record.change.clone().unwrap_or_default();
    let action = match change.action() {
        MembershipAction::Enter => "enter",
        MembershipAction::Exit => "exit",
        MembershipAction::Unspecified => "",
    };
    let mut told = object(&[
        ("action", json!(action)),
        ("time", time(record.time)),
        ("fields", json!(change.fields)),
        ("previousFields", json!(change.previous_fields)),
        ("unusable", json!(record.unusable)),
    ]);
    (told["partition"], told["offset"]) = (json!(record.partition), json!(record.offset));
    told
}

fn identifier(choice: &wire::IdentifierChoice) -> Value {
    object(&[
        ("kind", json!(choice.kind)),
        ("label", json!(choice.label)),
        ("field", json!(choice.field)),
        ("value", json!(choice.value)),
        ("chosen", json!(choice.chosen)),
        ("whyNot", json!(choice.why_not)),
    ])
}

fn stage(stage: wire::ChangeStage) -> String {
    word(stage.as_str_name(), "CHANGE_STAGE_")
}

fn word(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase()
}

fn standing(standing: &wire::ChangeStanding) -> Value {
    object(&[
        ("stage", json!(stage(standing.stage()))),
        ("until", time(standing.until)),
        ("recordsBefore", json!(standing.records_before)),
        ("catchUp", json!(standing.catch_up)),
        ("updates", json!(standing.updates)),
        ("updatesMax", json!(standing.updates_max)),
        ("attempts", json!(standing.attempts)),
        ("lastMessage", json!(standing.last_message)),
        ("lastStatus", json!(standing.last_status)),
        ("lastAttemptTime", time(standing.last_attempt_time)),
        ("takenTime", time(standing.taken_time)),
        ("takenChanges", json!(standing.taken_changes)),
        (
            "state",
            json!(word(standing.state().as_str_name(), "EXPORT_JOB_STATE_")),
        ),
        ("stateReason", json!(standing.state_reason)),
        ("resumeTime", time(standing.resume_time)),
        ("fromProgress", json!(standing.from_progress)),
    ])
}

fn rejected(rejected: &wire::RejectedChange) -> Value {
    object(&[
        ("reason", json!(rejected.reason)),
        ("detail", json!(rejected.detail)),
        ("brazeMessage", json!(rejected.braze_message)),
        ("attempts", json!(rejected.attempts)),
    ])
}

fn braze_user(user: &wire::BrazeUser) -> Value {
    if !user.problem.is_empty() {
        return object(&[("problem", json!(user.problem))]);
    }
    let mut told = object(&[
        ("externalId", json!(user.external_id)),
        ("brazeId", json!(user.braze_id)),
        ("attribute", json!(user.attribute)),
        ("values", json!(user.values)),
        ("notAnArray", json!(user.not_an_array)),
    ]);
    (told["exists"], told["hasSlug"]) = (json!(user.exists), json!(user.has_slug));
    told
}
