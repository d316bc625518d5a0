//! The demo's way out: membership changes are published, some before the jobs exist, and the simulator's users are compared
//! with the plain loop of [`crate::memberships`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use anyhow::Context as _;
use braze_sim::SimHandle;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use proto::authorization::v1::{Authorization, CreateAuthorizationRequest};
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use proto::export::v1::{CreateExportJobRequest, ExportJob};
use proto::membership::v1::audience_membership_service_client::AudienceMembershipServiceClient;
use proto::membership::v1::publish_membership_changes_response::Outcome;
use proto::membership::v1::{MembershipAction, MembershipChange, PublishMembershipChangesRequest};
use serde_json::json;
use tokio::time::Instant;

use super::bar;
use crate::memberships::{
    self, ALIAS_LABEL, Change, LAPSED, NEWSLETTER, Script, User, VIP, alias_name, alias_names, external_id,
};
use crate::stack::{ACCOUNT, BRAZE_KEY, Stack};

/// How long a change may wait in the demo for its batch to fill.
const FLUSH_AFTER_SECONDS: i64 = 1;
/// The demo gives up when Braze's users have not come nearer to what is expected for so long.
const PATIENCE: Duration = Duration::from_secs(15);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// What came of it.
pub(super) struct Exported {
    pub(super) differences: Vec<String>,
    /// Calls of the services; those that seeded the simulator are not counted.
    pub(super) requests: u64,
    /// Users at Braze in the end.
    pub(super) users: usize,
}

/// Drains the stack's services in the end.
pub(super) async fn run(stack: &mut Stack, script: &Script, drop_exit: bool) -> anyhow::Result<Exported> {
    let sim = stack.sim();
    seed_aliases(stack).await?;
    let seeded = sim.arrivals();
    publish(stack, &script.before, None).await?;
    create_jobs(stack, FLUSH_AFTER_SECONDS).await?;
    let dropped = drop_exit.then(|| deciding_exit(script)).transpose()?;
    publish(stack, &script.after, dropped).await?;
    let expected = memberships::expected(script);
    let differences = verdict(stack, &expected).await?;
    let users = sim.users(braze_sim::DEFAULT_WORKSPACE).len();
    Ok(Exported {
        differences,
        requests: sim.arrivals() - seeded,
        users,
    })
}

/// Braze creates no user for an unknown alias, so the simulator is given them first.
async fn seed_aliases(stack: &Stack) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(PATIENCE).build()?;
    let names: Vec<String> = alias_names().collect();
    for names in names.chunks(75) {
        let objects: Vec<_> = names
            .iter()
            .map(|name| {
                let alias = json!({"alias_name": name, "alias_label": ALIAS_LABEL});
                json!({"user_alias": alias, "_update_existing_only": false, "origin": "demo"})
            })
            .collect();
        let url = format!("http://{}/users/track", stack.ports.sim);
        let call = client
            .post(url)
            .bearer_auth(BRAZE_KEY)
            .json(&json!({"attributes": objects}));
        call.send().await?.error_for_status().context("seeding the simulator")?;
    }
    stack.sim().idle().await;
    Ok(())
}

/// One authorization, two jobs: two audiences by external id with existing users, one by alias without.
async fn create_jobs(stack: &Stack, flush_after_seconds: i64) -> anyhow::Result<()> {
    let parent = format!("accounts/{ACCOUNT}");
    let authorization = Authorization {
        provider: "braze".to_owned(),
        method: "braze".to_owned(),
        label: "Simulator".to_owned(),
        instance: "US-01".to_owned(),
        ..Default::default()
    };
    let request = CreateAuthorizationRequest {
        parent: parent.clone(),
        authorization: Some(authorization),
        rest_api_key: BRAZE_KEY.to_owned(),
    };
    let answer = AuthorizationServiceClient::new(stack.export().await?)
        .create_authorization(request)
        .await?;
    let authorization = answer
        .into_inner()
        .authorization
        .context("an authorization in the answer")?
        .name;

    let common = ExportJob {
        r#type: "export_audiences".to_owned(),
        authorization,
        guard_percent: Some(0),
        flush_after: Some(prost_types::Duration {
            seconds: flush_after_seconds,
            nanos: 0,
        }),
        ..Default::default()
    };
    let by_external_id = ExportJob {
        label: "By external id".to_owned(),
        audiences: vec![VIP.to_owned(), NEWSLETTER.to_owned()],
        external_id_field: "user_id".to_owned(),
        existing_users: true,
        ..common.clone()
    };
    let by_alias = ExportJob {
        label: "By alias".to_owned(),
        audiences: vec![LAPSED.to_owned()],
        user_alias_label: ALIAS_LABEL.to_owned(),
        user_alias_field: "lytics_id".to_owned(),
        ..common
    };
    let mut jobs = ExportJobServiceClient::new(stack.export().await?);
    for job in [by_external_id, by_alias] {
        jobs.create_export_job(CreateExportJobRequest {
            parent: parent.clone(),
            export_job: Some(job),
        })
        .await?;
    }
    Ok(())
}

/// Publishes over gRPC, but for the change at index `dropped`.
async fn publish(stack: &Stack, changes: &[Change], dropped: Option<usize>) -> anyhow::Result<()> {
    let kept = changes
        .iter()
        .enumerate()
        .filter(|(number, _)| Some(*number) != dropped);
    let requests: Vec<_> = kept.map(|(_, change)| request(change)).collect();
    let bar = bar("publishing memberships", requests.len())?;
    let mut client = AudienceMembershipServiceClient::new(stack.export().await?);
    let mut answers = client
        .publish_membership_changes(futures::stream::iter(requests))
        .await?
        .into_inner();
    while let Some(answer) = answers.message().await? {
        bar.inc(1);
        if let Some(Outcome::RejectedReason(reason)) = answer.outcome {
            anyhow::bail!("membership change {} was rejected: {reason}", answer.index);
        }
    }
    bar.finish();
    Ok(())
}

fn request(change: &Change) -> PublishMembershipChangesRequest {
    let fields = HashMap::from([
        ("user_id".to_owned(), external_id(change.profile)),
        ("lytics_id".to_owned(), alias_name(change.profile)),
    ]);
    let action = if change.enter {
        MembershipAction::Enter
    } else {
        MembershipAction::Exit
    };
    let change = MembershipChange {
        account: ACCOUNT,
        audience_slug: change.audience.to_owned(),
        profile_id: change.profile.to_string(),
        action: action.into(),
        fields,
        ..Default::default()
    };
    PublishMembershipChangesRequest {
        change: Some(change),
        ..Default::default()
    }
}

/// Index of an exit that is the last word on somebody whom an earlier change of `after` put in.
fn deciding_exit(script: &Script) -> anyhow::Result<usize> {
    let same = |a: &Change, b: &Change| (a.audience, a.profile) == (b.audience, b.profile);
    let changes = &script.after;
    let decides = |(number, change): &(usize, &Change)| {
        let before = changes[..*number].iter().rfind(|other| same(other, change));
        !change.enter
            && before.is_some_and(|other| other.enter)
            && !changes[number + 1..].iter().any(|other| same(other, change))
    };
    let found = changes.iter().enumerate().find(decides);
    Ok(found.context("the script has an exit that decides")?.0)
}

/// What the simulator's users are to be.
type Expected = BTreeMap<User, BTreeSet<&'static str>>;

/// The differences that are left when nothing can change any more: a first match may be undone by what is still on its way.
async fn verdict(stack: &mut Stack, expected: &Expected) -> anyhow::Result<Vec<String>> {
    let sim = stack.sim();
    settle(&sim, expected).await?;
    stack.drain().await?;
    sim.idle().await;
    Ok(compare(&sim, expected))
}

/// Waits until the simulator's users are as expected, or until they change no more.
async fn settle(sim: &SimHandle, expected: &Expected) -> anyhow::Result<()> {
    let bar = bar("waiting for Braze", expected.len())?;
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut seen = (sim.arrivals(), Instant::now());
    loop {
        ticks.tick().await;
        sim.idle().await;
        let differences = compare(sim, expected);
        bar.set_position(expected.len().saturating_sub(differences.len()) as u64);
        if sim.arrivals() != seen.0 {
            seen = (sim.arrivals(), Instant::now());
        }
        if differences.is_empty() || seen.1.elapsed() > PATIENCE {
            bar.finish();
            return Ok(());
        }
    }
}

fn compare(sim: &SimHandle, expected: &Expected) -> Vec<String> {
    let mut actual = BTreeMap::new();
    for user in sim.users(braze_sim::DEFAULT_WORKSPACE) {
        let slugs: BTreeSet<String> = user.array("lytics_segments").into_iter().map(str::to_owned).collect();
        let alias = user.user_aliases.iter().find(|alias| alias.alias_label == ALIAS_LABEL);
        let identity = user
            .external_id
            .clone()
            .map(User::ExternalId)
            .or(alias.map(|alias| User::Alias(alias.alias_name.clone())));
        if let (Some(identity), false) = (identity, slugs.is_empty()) {
            actual.insert(identity, slugs);
        }
    }
    let mut differences = Vec::new();
    for (user, slugs) in expected {
        let found = actual.remove(user).unwrap_or_default();
        if !found.iter().map(String::as_str).eq(slugs.iter().copied()) {
            differences.push(format!("{user:?} has {found:?} at Braze, must have {slugs:?}"));
        }
    }
    differences.extend(
        actual
            .into_iter()
            .map(|(user, slugs)| format!("{user:?} has {slugs:?} at Braze, must have none")),
    );
    differences
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Ports;

    /// Waits until export-svc has read one change that it has not sent.
    async fn one_is_read(stack: &Stack) {
        let client = reqwest::Client::builder().timeout(PATIENCE).build().expect("a client");
        let url = format!("http://{}/metrics", stack.ports.export_admin);
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        let read = async {
            loop {
                ticks.tick().await;
                let answer = client.get(&url).send().await.expect("an answer");
                let metrics = answer.text().await.expect("a text");
                let pending = metrics.lines().find(|line| line.starts_with("export_pending_changes{"));
                if pending.is_some_and(|line| line.ends_with(" 1")) {
                    break;
                }
            }
        };
        let waited = tokio::time::timeout(PATIENCE, read).await;
        waited.expect("the change is read");
    }

    #[tokio::test]
    async fn what_is_still_on_its_way_at_the_first_match_counts_in_the_verdict() {
        let mut stack = Stack::start(Ports::free()).await.expect("a stack");
        let enter = Change {
            audience: VIP,
            profile: 1,
            enter: true,
        };
        publish(&stack, &[enter], None).await.expect("published");
        // So late that only the drain sends it.
        create_jobs(&stack, 300).await.expect("jobs");
        one_is_read(&stack).await;
        let nobody = Expected::new();
        assert_eq!(compare(&stack.sim(), &nobody), [""; 0]);
        let differences = verdict(&mut stack, &nobody).await.expect("a verdict");
        assert_eq!(differences.len(), 1, "{differences:?}");
        stack.stop().await.expect("a good end");
    }
}
