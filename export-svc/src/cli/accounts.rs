//! `accounts`.

use clap::{Args, Subcommand};
use model::{AccountHex, AccountNumber, name};
use proto::account::v1 as wire;
use proto::account::v1::account_service_client::AccountServiceClient;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::output::{Show, time};
use super::resource::every_page;
use super::{Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Accounts {
    /// Create an account, and its membership topic.
    ///
    /// Once per customer, before anything else.
    #[command(after_long_help = examples!("accounts create 1234 --label Demo"))]
    Create(Create),
    /// Show an account.
    ///
    /// Its number, the same as 32 hexadecimal digits, and when it was created.
    #[command(after_long_help = examples!(
        "accounts get 1234",
        "accounts get 1234 --output json",
    ))]
    Get(One),
    /// List the accounts that the token is good for.
    ///
    /// With the admin token of the installation these are all, with any other its own.
    #[command(after_long_help = examples!("accounts list"))]
    List(List),
    /// Delete an account, its tokens and its mappings.
    ///
    /// When a customer has left. Its jobs and authorizations must be deleted before; its topics stay.
    #[command(after_long_help = examples!("accounts delete 1234"))]
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(super) struct Create {
    /// Number of the account, the form in webhook URLs.
    #[arg(value_name = "NUMBER")]
    number: AccountNumber,
    /// What people call it.
    #[arg(long)]
    label: String,
    /// The same account as 32 hexadecimal digits; made up if not given.
    #[arg(long)]
    hex: Option<AccountHex>,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct One {
    /// Number of the account.
    #[arg(value_name = "NUMBER")]
    number: AccountNumber,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    one: One,
    /// Only if this is still its revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    remote: Remote,
}

impl Show for wire::Account {
    const COLUMNS: &'static [&'static str] = &["NUMBER", "HEX", "LABEL"];

    fn row(&self) -> Vec<String> {
        vec![self.number.to_string(), self.hex.clone(), self.label.clone()]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("name", json!(self.name)),
            ("number", json!(self.number)),
            ("hex", json!(self.hex)),
            ("label", json!(self.label)),
            ("createTime", time(self.create_time)),
            ("revision", json!(self.revision)),
        ]
    }
}

impl Accounts {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Create(Create {
                number,
                label,
                hex,
                remote,
            }) => {
                let hex = hex.map(|hex| hex.to_string()).unwrap_or_default();
                let account = wire::Account {
                    number: number.get(),
                    label,
                    hex,
                    ..wire::Account::default()
                };
                let request = wire::CreateAccountRequest { account: Some(account) };
                let mut client = AccountServiceClient::new(remote.connect().await?);
                let created = client.create_account(request).await.map_err(refused)?.into_inner();
                remote.output.one(&created.account.unwrap_or_default());
            }
            Self::Get(One { number, remote }) => {
                let request = wire::GetAccountRequest {
                    name: name::format_account(number),
                };
                let mut client = AccountServiceClient::new(remote.connect().await?);
                let account = client.get_account(request).await.map_err(refused)?.into_inner();
                remote.output.one(&account.account.unwrap_or_default());
            }
            Self::List(List { remote }) => {
                let mut client = AccountServiceClient::new(remote.connect().await?);
                let accounts = every_page(async |page_token| {
                    let request = wire::ListAccountsRequest {
                        page_size: 0,
                        page_token,
                    };
                    let page = client.list_accounts(request).await?.into_inner();
                    Ok((page.accounts, page.next_page_token))
                });
                remote.output.list(&accounts.await?);
            }
            Self::Delete(Delete { one, revision }) => {
                let One { number, remote } = one;
                let name = name::format_account(number);
                let mut client = AccountServiceClient::new(remote.connect().await?);
                let request = wire::DeleteAccountRequest {
                    name: name.clone(),
                    revision,
                };
                client.delete_account(request).await.map_err(refused)?;
                remote
                    .output
                    .done(&format!("deleted {name}"), vec![("deleted", json!(name))]);
            }
        }
        Ok(())
    }
}
