//! `lytics.account.v1.AccountService`.

use control::{Directory, Error, NewAccount};
use jiff::Timestamp;
use model::{AccountNumber, AccountRef, name, text};
use proto::account::v1::account_service_server::AccountService;
use proto::account::v1::{
    Account, CreateAccountRequest, CreateAccountResponse, DeleteAccountRequest, DeleteAccountResponse,
    GetAccountRequest, GetAccountResponse, ListAccountsRequest, ListAccountsResponse,
};
use runtime::grpc::status::{Violations, already_exists, invalid_argument};
use tonic::{Request, Response, Status};

use super::{READ, based_on, check, page};

pub(super) struct Service {
    pub(super) directory: Directory,
    pub(super) kafka: kafka::Config,
    pub(super) ensure_topics: bool,
}

fn parse_name(name: &str) -> Result<AccountNumber, Status> {
    name::account(name).map_err(|error| invalid_argument("name", error.to_string()))
}

/// The account that a request asks to create, or everything that is wrong with it.
fn parse(account: &Account) -> Result<NewAccount, Status> {
    let mut violations = Violations::new();
    let number = AccountNumber::new(account.number);
    if number.is_none() {
        violations.add("account.number", "must not be 0");
    }
    check(&mut violations, "account.label", text::label(&account.label));
    let hex = match account.hex.as_str() {
        "" => None,
        hex => hex
            .parse()
            .map_err(|error: model::ParseAccountError| violations.add("account.hex", error.to_string()))
            .ok(),
    };
    violations.into_result()?;
    let number = number.ok_or_else(|| invalid_argument("account.number", "must not be 0"))?;
    Ok(NewAccount {
        number,
        hex,
        label: account.label.clone(),
    })
}

#[tonic::async_trait]
impl AccountService for Service {
    async fn create_account(
        &self,
        request: Request<CreateAccountRequest>,
    ) -> Result<Response<CreateAccountResponse>, Status> {
        self.directory.caller(&request)?.require_installation()?;
        let new = parse(&request.into_inner().account.unwrap_or_default())?;
        match self.directory.account(AccountRef::Number(new.number)) {
            Ok(account) => return Err(already_exists(format!("{} exists already", account.name()))),
            Err(Error::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
        // Before the account: nobody may meet an account whose topic is missing.
        if self.ensure_topics {
            kafka::topics::ensure_membership(&self.kafka, new.number.get())
                .await
                .map_err(|error| {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "cannot create the membership topic"
                    );
                    Status::unavailable("the account's membership topic cannot be created now; try again")
                })?;
        }
        let account = self.directory.accounts().create(new, Timestamp::now()).await?;
        tracing::info!(account = %account.number, "created {}", account.name());
        Ok(Response::new(CreateAccountResponse {
            account: Some(account.to_wire()),
        }))
    }

    async fn get_account(&self, request: Request<GetAccountRequest>) -> Result<Response<GetAccountResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let number = parse_name(&request.get_ref().name)?;
        caller.require(number, READ)?;
        let account = self.directory.account(AccountRef::Number(number))?;
        Ok(Response::new(GetAccountResponse {
            account: Some(account.to_wire()),
        }))
    }

    /// The installation's admin token lists all accounts, the token of an account its own.
    async fn list_accounts(
        &self,
        request: Request<ListAccountsRequest>,
    ) -> Result<Response<ListAccountsResponse>, Status> {
        let caller = self.directory.admit(&request, READ)?;
        let request = request.get_ref();
        let page = page(&["ListAccounts"], request.page_size, &request.page_token)?;
        let response = match caller.account() {
            None => {
                let listed = self.directory.accounts().list(&page)?;
                let accounts = listed.items.iter().map(control::Account::to_wire).collect();
                ListAccountsResponse {
                    accounts,
                    next_page_token: listed.next_page_token,
                }
            }
            Some(own) => {
                let account = self.directory.account(AccountRef::Number(own))?;
                ListAccountsResponse {
                    accounts: vec![account.to_wire()],
                    next_page_token: String::new(),
                }
            }
        };
        Ok(Response::new(response))
    }

    async fn delete_account(
        &self,
        request: Request<DeleteAccountRequest>,
    ) -> Result<Response<DeleteAccountResponse>, Status> {
        self.directory.caller(&request)?.require_installation()?;
        let DeleteAccountRequest { name, revision } = request.get_ref();
        let number = parse_name(name)?;
        self.directory.accounts().delete(number, based_on(*revision)).await?;
        tracing::info!(account = %number, "deleted accounts/{number}");
        Ok(Response::new(DeleteAccountResponse {}))
    }
}
