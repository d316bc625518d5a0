//! `authorizations`.

mod check;
mod providers;

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Subcommand};
use prost_types::FieldMask;
use proto::authorization::v1 as wire;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tonic::Status;

use super::output::{Show, time};
use super::resource::{Moved, One, Resource, all};
use super::{Account, Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Authorizations {
    /// Store a Braze REST API key, sealed, under a label.
    ///
    /// Once per key of Braze. The key is asked about at once: a warning tells what it may not. It is stored all the same.
    #[command(after_long_help = examples!(
        "authorizations create --account 1234 --label Sim --instance US-01 \\\n      --key-file key.txt",
        "authorizations create --account 1234 --label Sim \\\n      --instance https://dashboard-01.braze.com --workspace shop --key-file -",
    ))]
    Create(Create),
    /// Show an authorization; its key is never shown.
    ///
    /// Its health tells whether Braze takes the key, as was seen last; `check` asks now.
    #[command(after_long_help = examples!("authorizations get --account 1234 Sim"))]
    Get(One),
    /// List the authorizations of an account.
    ///
    /// With the health of each: where to look when several jobs sleep.
    #[command(after_long_help = examples!("authorizations list --account 1234"))]
    List(List),
    /// Change label, description or budget of an authorization.
    ///
    /// What is not given stays. The budget is how many requests its Braze workspace gets: raise it if jobs lag, lower it if
    /// Braze's limit is needed elsewhere.
    #[command(after_long_help = examples!(
        "authorizations update --account 1234 Sim --requests-per-second 200",
        "authorizations update --account 1234 Sim \\\n      --requests-per-second default --limit-share 0.25",
    ))]
    Update(Update),
    /// Replace the key of an authorization.
    ///
    /// When a key is to be renewed, or lacks a permission: Braze's keys cannot be edited. Jobs use the new one at once, and
    /// those that slept because of the old one go on.
    #[command(after_long_help = examples!("authorizations rotate-key --account 1234 Sim --key-file key.txt"))]
    RotateKey(RotateKey),
    /// Ask Braze now what the key of an authorization may be used for.
    ///
    /// After a permission, an instance or a firewall was mended, or to see why a job sleeps. Of each use it tells whether
    /// the key may. A replica asks once in 10 seconds at most, whoever wants to know. Exit code 1 if Braze does not take
    /// the key, or gives no answer.
    #[command(after_long_help = examples!(
        "authorizations check --account 1234 Sim",
        "authorizations check --account 1234 Sim --output json",
    ))]
    Check(check::Check),
    /// Show whom credentials can be for, and what is to be filled in.
    ///
    /// Before the first `create`, or to draw a form.
    #[command(after_long_help = examples!("authorizations providers"))]
    Providers(Providers),
    /// Delete an authorization and its key.
    ///
    /// Refused while export jobs use it, with their names; kill or delete these before.
    #[command(after_long_help = examples!("authorizations delete --account 1234 Sim"))]
    Delete(Moved),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    #[command(flatten)]
    account: Account,
    /// Whom the credentials are for.
    #[arg(long, default_value = "braze")]
    provider: String,
    /// The provider's kind of credentials.
    #[arg(long, default_value = "braze")]
    method: String,
    /// What people call it; unique in the account.
    #[arg(long)]
    label: String,
    /// For people.
    #[arg(long, default_value = "", hide_default_value = true)]
    description: String,
    /// The Braze instance, such as US-01 or EU-02, or the address of the dashboard.
    #[arg(long)]
    instance: String,
    /// The Braze workspace of the key. Several keys of one workspace name the same one, so that they share its rate limit;
    /// without it the key has a workspace of its own.
    #[arg(long, default_value = "", hide_default_value = true)]
    workspace: String,
    /// Requests per second that its Braze workspace gets. Without it: what the service has configured, or a share of the limit
    /// that Braze's answers tell. Of several authorizations of one workspace the lowest holds.
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<f64>,
    /// How much of the limit that Braze's answers tell is used, above 0 and at most 1; without it, half of it. Of several
    /// authorizations of one workspace the lowest holds.
    #[arg(long, value_name = "SHARE")]
    limit_share: Option<f64>,
    /// File that holds the REST API key, or - for stdin. The key needs the permission users.track, and for `explain` to tell what
    /// Braze holds users.export.ids.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Update {
    #[command(flatten)]
    one: One,
    /// What people call it; unique in the account.
    #[arg(long)]
    label: Option<String>,
    /// For people.
    #[arg(long)]
    description: Option<String>,
    /// Requests per second that its Braze workspace gets, or `default` to take back what was said.
    #[arg(long, value_name = "NUMBER")]
    requests_per_second: Option<Figure>,
    /// How much of the limit that Braze's answers tell is used, above 0 and at most 1, or `default` for half of it.
    #[arg(long, value_name = "SHARE")]
    limit_share: Option<Figure>,
    /// Only if this is still the authorization's revision.
    #[arg(long, value_name = "NUMBER")]
    revision: Option<u64>,
}

/// A number, or nothing said.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Figure(Option<f64>);

impl FromStr for Figure {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "default" => Ok(Self(None)),
            number => number
                .parse()
                .map(|number| Self(Some(number)))
                .map_err(|_| "a number or `default` is expected"),
        }
    }
}

#[derive(Debug, Args)]
pub(super) struct RotateKey {
    #[command(flatten)]
    moved: Moved,
    /// File that holds the new REST API key, or - for stdin: a key of the same Braze workspace, with the permissions users.track and,
    /// for `explain`, users.export.ids.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct Providers {
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    remote: Remote,
}

impl Show for wire::Authorization {
    const COLUMNS: &'static [&'static str] = &["NAME", "LABEL", "INSTANCE", "WORKSPACE", "HEALTH"];

    fn row(&self) -> Vec<String> {
        let Self {
            name,
            label,
            instance,
            workspace,
            ..
        } = self.clone();
        let health = health(self).map_or_else(String::new, |(status, _)| status.to_owned());
        vec![name, label, instance, workspace, health]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        let (budget, health) = (self.budget.unwrap_or_default(), health(self));
        vec![
            ("name", json!(self.name)),
            ("provider", json!(self.provider)),
            ("method", json!(self.method)),
            ("label", json!(self.label)),
            ("description", json!(self.description)),
            ("instance", json!(self.instance)),
            ("workspace", json!(self.workspace)),
            ("requestsPerSecond", json!(budget.requests_per_second)),
            ("limitShare", json!(budget.limit_share)),
            ("health", json!(health.map(|(status, _)| status))),
            ("healthReason", json!(health.map(|(_, health)| &health.reason))),
            (
                "healthCheckTime",
                time(health.and_then(|(_, health)| health.check_time)),
            ),
            ("uses", check::uses(self)),
            ("createTime", time(self.create_time)),
            ("updateTime", time(self.update_time)),
            ("revision", json!(self.revision)),
        ]
    }
}

/// The word for its health, and the rest of what is known of it.
fn health(authorization: &wire::Authorization) -> Option<(&'static str, &wire::Health)> {
    let health = authorization.health.as_ref()?;
    let word = match health.status() {
        wire::HealthStatus::Healthy => "healthy",
        wire::HealthStatus::Unhealthy => "unhealthy",
        wire::HealthStatus::Unknown | wire::HealthStatus::Unspecified => "unknown",
    };
    Some((word, health))
}

/// Says so if Braze does not take the key that it has just got: nothing has failed, but nothing will be exported, or not everything
/// can be told.
fn warn(authorization: &wire::Authorization) {
    match health(authorization) {
        Some((word @ ("unhealthy" | "unknown"), health)) => {
            eprintln!("warning: the authorization is {word}: {}", health.reason);
        }
        Some((_, health)) => check::warn(health),
        None => {}
    }
}

impl Resource for wire::Authorization {
    const KIND: &'static str = "authorization";

    fn name(&self) -> &str {
        &self.name
    }

    fn label(&self) -> &str {
        &self.label
    }

    async fn page(channel: &Channel, parent: &str, page_token: String) -> Result<(Vec<Self>, String), Status> {
        let request = wire::ListAuthorizationsRequest {
            parent: parent.to_owned(),
            page_size: 0,
            page_token,
        };
        let mut client = AuthorizationServiceClient::new(channel.clone());
        let page = client.list_authorizations(request).await?.into_inner();
        Ok((page.authorizations, page.next_page_token))
    }
}

impl Authorizations {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run().await?,
            Self::Get(one) => {
                let (channel, name) = one.find::<wire::Authorization>().await?;
                let mut client = AuthorizationServiceClient::new(channel);
                let answer = client.get_authorization(wire::GetAuthorizationRequest { name }).await;
                one.show(answer.map_err(refused)?.into_inner().authorization);
            }
            Self::List(List { account, remote }) => {
                let channel = remote.connect().await?;
                remote
                    .output
                    .list(&all::<wire::Authorization>(&channel, &account.name()).await?);
            }
            Self::Update(update) => update.run().await?,
            Self::RotateKey(RotateKey { moved, key_file }) => {
                let Moved { one, revision } = moved;
                let key = runtime::secrets::read(&key_file).map_err(Failure::call)?;
                let (channel, name) = one.find::<wire::Authorization>().await?;
                let mut client = AuthorizationServiceClient::new(channel);
                let request = wire::RotateAuthorizationKeyRequest {
                    name,
                    rest_api_key: key.expose_secret().to_owned(),
                    revision,
                };
                let answer = client.rotate_authorization_key(request).await;
                let rotated = answer.map_err(refused)?.into_inner().authorization;
                rotated.iter().for_each(warn);
                one.show(rotated);
            }
            Self::Check(check) => check.run().await?,
            Self::Providers(Providers { remote }) => providers::show(&remote).await?,
            Self::Delete(Moved { one, revision }) => {
                let (channel, name) = one.find::<wire::Authorization>().await?;
                let mut client = AuthorizationServiceClient::new(channel);
                let request = wire::DeleteAuthorizationRequest {
                    name: name.clone(),
                    revision,
                };
                client.delete_authorization(request).await.map_err(refused)?;
                one.remote
                    .output
                    .done(&format!("deleted {name}"), vec![("deleted", json!(name))]);
            }
        }
        Ok(())
    }
}

impl Update {
    fn to_request(&self, name: String) -> wire::UpdateAuthorizationRequest {
        let given = [
            ("label", self.label.is_some()),
            ("description", self.description.is_some()),
            ("budget.requests_per_second", self.requests_per_second.is_some()),
            ("budget.limit_share", self.limit_share.is_some()),
        ];
        let paths = given.iter().filter(|(_, given)| *given);
        wire::UpdateAuthorizationRequest {
            update_mask: Some(FieldMask {
                paths: paths.map(|(path, _)| (*path).to_owned()).collect(),
            }),
            authorization: Some(wire::Authorization {
                name,
                label: self.label.clone().unwrap_or_default(),
                description: self.description.clone().unwrap_or_default(),
                budget: Some(wire::Budget {
                    requests_per_second: self.requests_per_second.and_then(|figure| figure.0),
                    limit_share: self.limit_share.and_then(|figure| figure.0),
                }),
                revision: self.revision.unwrap_or_default(),
                ..wire::Authorization::default()
            }),
        }
    }

    async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.one.find::<wire::Authorization>().await?;
        let mut client = AuthorizationServiceClient::new(channel);
        let answer = client.update_authorization(self.to_request(name)).await;
        self.one.show(answer.map_err(refused)?.into_inner().authorization);
        Ok(())
    }
}

impl Create {
    async fn run(self) -> Result<(), Failure> {
        let key = runtime::secrets::read(&self.key_file).map_err(Failure::call)?;
        let authorization = wire::Authorization {
            provider: self.provider,
            method: self.method,
            label: self.label,
            description: self.description,
            instance: self.instance,
            workspace: self.workspace,
            budget: Some(wire::Budget {
                requests_per_second: self.requests_per_second,
                limit_share: self.limit_share,
            }),
            ..wire::Authorization::default()
        };
        let mut client = AuthorizationServiceClient::new(self.remote.connect().await?);
        let request = wire::CreateAuthorizationRequest {
            parent: self.account.name(),
            authorization: Some(authorization),
            rest_api_key: key.expose_secret().to_owned(),
        };
        let created = client
            .create_authorization(request)
            .await
            .map_err(refused)?
            .into_inner();
        created.authorization.iter().for_each(warn);
        self.remote.output.one(&created.authorization.unwrap_or_default());
        Ok(())
    }
}
