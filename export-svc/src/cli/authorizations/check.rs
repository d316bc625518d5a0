//! `authorizations check`, and how what a key may be used for is shown.

use anyhow::anyhow;
use clap::Args;
use proto::authorization::v1 as wire;
use proto::authorization::v1::HealthStatus;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::super::refused;
use super::super::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Check {
    #[command(flatten)]
    one: One,
}

impl Check {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.one.find::<wire::Authorization>().await?;
        let mut client = AuthorizationServiceClient::new(channel);
        let request = wire::CheckAuthorizationRequest { name };
        let answer = client.check_authorization(request).await.map_err(refused)?;
        let checked = answer.into_inner().authorization;
        let health = checked.as_ref().and_then(|checked| checked.health.clone());
        self.one.show(checked);
        let health = health.unwrap_or_default();
        match health.status() {
            HealthStatus::Healthy => warn(&health),
            HealthStatus::Unhealthy => return Err(Failure::call(anyhow!("{}", health.reason))),
            _ => return Err(Failure::call(anyhow!("Braze gave no answer; try again in a while"))),
        }
        Ok(())
    }
}

/// Says which of the uses that a key may go without it has to go without.
pub(super) fn warn(health: &wire::Health) {
    let uses = health.uses.iter();
    for refused in uses.filter(|used_for| used_for.status() == HealthStatus::Unhealthy) {
        eprintln!("warning: no {}: {}", refused.r#use, refused.reason);
    }
}

/// By use whether the key may: `ok`, `missing <permission>`, `unknown`.
pub(super) fn uses(authorization: &wire::Authorization) -> Value {
    let health = authorization.health.iter();
    let uses = health.flat_map(|health| &health.uses).map(|used_for| {
        let may = match used_for.status() {
            HealthStatus::Healthy => "ok".to_owned(),
            HealthStatus::Unhealthy if used_for.reason.contains(&used_for.permission) => {
                format!("missing {}", used_for.permission)
            }
            HealthStatus::Unhealthy => "refused".to_owned(),
            HealthStatus::Unknown | HealthStatus::Unspecified => "unknown".to_owned(),
        };
        (used_for.r#use.clone(), json!(may))
    });
    Value::Object(uses.collect())
}
