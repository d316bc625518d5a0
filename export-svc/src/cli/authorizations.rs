//! `authorizations`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use proto::authorization::v1 as wire;
use proto::authorization::v1::authorization_service_client::AuthorizationServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tonic::Status;

use super::output::{Show, time};
use super::resource::{One, Resource, all};
use super::{Account, Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Authorizations {
    /// Store a Braze REST API key, sealed, under a label.
    Create(Create),
    /// Show an authorization; its key is never shown.
    Get(One),
    /// List the authorizations of an account.
    List(List),
    /// Replace the key of an authorization; its jobs use the new one at once, and those that slept because of the old one go on.
    RotateKey(RotateKey),
    /// Delete an authorization and its key; refused while export jobs use it.
    Delete(One),
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
    /// File that holds the REST API key, or - for stdin. The key needs the permission users.track.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct RotateKey {
    #[command(flatten)]
    one: One,
    /// File that holds the new REST API key, or - for stdin: a key of the same Braze workspace, with the permission users.track.
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    remote: Remote,
}

impl Show for wire::Authorization {
    const COLUMNS: &'static [&'static str] = &["NAME", "LABEL", "PROVIDER", "INSTANCE", "WORKSPACE"];

    fn row(&self) -> Vec<String> {
        let Self {
            name,
            label,
            provider,
            instance,
            workspace,
            ..
        } = self.clone();
        vec![name, label, provider, instance, workspace]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("provider", json!(self.provider)),
            ("method", json!(self.method)),
            ("label", json!(self.label)),
            ("description", json!(self.description)),
            ("instance", json!(self.instance)),
            ("workspace", json!(self.workspace)),
            ("createTime", time(self.create_time)),
            ("updateTime", time(self.update_time)),
            ("revision", json!(self.revision)),
        ]
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
            Self::RotateKey(RotateKey { one, key_file }) => {
                let key = runtime::secrets::read(&key_file).map_err(Failure::call)?;
                let (channel, name) = one.find::<wire::Authorization>().await?;
                let mut client = AuthorizationServiceClient::new(channel);
                let request = wire::RotateAuthorizationKeyRequest {
                    name,
                    rest_api_key: key.expose_secret().to_owned(),
                };
                let answer = client.rotate_authorization_key(request).await;
                one.show(answer.map_err(refused)?.into_inner().authorization);
            }
            Self::Delete(one) => {
                let (channel, name) = one.find::<wire::Authorization>().await?;
                let mut client = AuthorizationServiceClient::new(channel);
                let request = wire::DeleteAuthorizationRequest { name: name.clone() };
                client.delete_authorization(request).await.map_err(refused)?;
                one.remote
                    .output
                    .done(&format!("deleted {name}"), vec![("deleted", json!(name))]);
            }
        }
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
        self.remote.output.one(&created.authorization.unwrap_or_default());
        Ok(())
    }
}
