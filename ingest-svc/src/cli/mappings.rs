//! `mappings put | get | list | versions | delete | validate | test | shadow`.

mod shadow;
mod show;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use clap::{Args, Subcommand, ValueEnum};
use model::{AccountNumber, name};
use proto::mapping::v1 as wire;
use proto::mapping::v1::mapping_service_client::MappingServiceClient;
use runtime::exit::Failure;
use runtime::grpc::Channel;
use runtime::stdout;

use self::show::{Format, lines, table};
use super::{Connection, refused};

type Client = MappingServiceClient<Channel>;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a statement the live version of the mapping that its ALIAS names
    ///
    /// It is live on every replica within about a second, and each profile event names the mapping and the version that
    /// made it. A statement that does not compile is refused with everything that is wrong with it; the one that is live
    /// already makes no new version. A stream is read by the mapping of the account whose FROM names it, else by the one
    /// that ships with the service: begin with `mappings get braze_users --account NUMBER --version 0 --output lql`.
    /// docs/mapping.md teaches LQL.
    #[command(after_long_help = examples!(
        "mappings put braze_users.lql --account 1234",
        "mappings put braze_users.lql --account 1234 --if-revision 0",
    ))]
    Put(Put),
    /// Show a mapping: its live version, or another that is kept
    ///
    /// As LQL it is a file to edit, and to put.
    #[command(after_long_help = examples!(
        "mappings get braze_users --account 1234",
        "mappings get braze_users --account 1234 --version 0 \\\n      --output lql > braze_users.lql",
    ))]
    Get(Get),
    /// Show the live mappings of an account
    ///
    /// With the version of each. A stream that none of them reads is read by the one that ships with the service.
    #[command(after_long_help = examples!("mappings list --account 1234"))]
    List(List),
    /// Show the versions of a mapping that are kept, newest first
    ///
    /// To go back to one: `mappings get NAME --version 3 --output lql | mappings put --account NUMBER -`, which makes a new
    /// version of it.
    #[command(after_long_help = examples!("mappings versions braze_users --account 1234"))]
    Versions(Named),
    /// Delete a mapping with all its versions
    ///
    /// Its stream is read by the one that ships with the service again. To go back to an earlier version, put that instead.
    #[command(after_long_help = examples!("mappings delete braze_users --account 1234"))]
    Delete(Delete),
    /// Say everything that is wrong with a statement
    ///
    /// As FILE:LINE:COLUMN: PROBLEM, as editors and CI read it; exit code 1 if there is anything. Nothing is stored.
    #[command(after_long_help = examples!("mappings validate braze_users.lql --account 1234"))]
    Validate(Validate),
    /// Say what a mapping makes of a record
    ///
    /// And of each column that gave nothing, why. Nothing is published. With --lql a statement that nobody has put yet,
    /// with --mapping one that was.
    #[command(after_long_help = examples!(
        "mappings test --account 1234 --lql braze_users.lql \\\n      --record record.json",
        "mappings test --account 1234 --mapping braze_users < record.json",
    ))]
    Test(Test),
    /// Run a candidate beside the live mapping, and see how they differ
    ///
    /// For a change that is too large to foresee: real records are read by both, and nothing of the candidate is published.
    #[command(after_long_help = examples!("mappings shadow list --account 1234"))]
    #[command(subcommand)]
    Shadow(shadow::Command),
}

/// A mapping by name.
#[derive(Debug, Args)]
pub(super) struct Name {
    /// accounts/{number}/mappings/{alias}, or with --account the alias
    #[arg(value_name = "NAME")]
    wanted: String,
    /// Number of the account; not needed with a name in full
    #[arg(long, value_name = "NUMBER")]
    account: Option<AccountNumber>,
}

#[derive(Debug, Args)]
pub(super) struct Put {
    /// File with the statement; '-' is stdin
    file: PathBuf,
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// Refuse if the mapping is not at this revision; 0: if there is one already
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Get {
    #[command(flatten)]
    name: Name,
    /// Another version than the live one; 0 is the one that ships with the service
    #[arg(long)]
    version: Option<u64>,
    /// What to print
    #[arg(long, value_enum, default_value_t)]
    output: GetOutput,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(super) enum GetOutput {
    /// Lines for people
    #[default]
    Text,
    /// One JSON object
    Json,
    /// The statement and nothing else
    Lql,
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    #[command(flatten)]
    name: Name,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Delete {
    #[command(flatten)]
    name: Name,
    /// Refuse if it is not at this revision
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct Validate {
    /// File with the statement; '-' is stdin
    file: PathBuf,
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// File with a statement to try out
    #[arg(long, value_name = "FILE", required_unless_present = "mapping")]
    lql: Option<PathBuf>,
    /// Alias of a mapping to try out
    #[arg(long, value_name = "ALIAS", conflicts_with = "lql")]
    mapping: Option<String>,
    /// Another version of it than the live one; 0 is the one that ships with the service
    #[arg(long, requires = "mapping")]
    version: Option<u64>,
    /// File with the record, one JSON object; '-' is stdin
    #[arg(long, value_name = "FILE", default_value = "-")]
    record: PathBuf,
    /// Field of the record that says when it happened
    #[arg(long, value_name = "FIELD", default_value = "", hide_default_value = true)]
    timestamp_field: String,
    #[command(flatten)]
    format: Format,
}

/// What is in a file, or comes over stdin.
fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let mut content = Vec::new();
    let read = if file == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut content).map(drop)
    } else {
        std::fs::read(file).map(|read| content = read)
    };
    read.with_context(|| format!("cannot read {}", file.display()))
        .map_err(Failure::call)?;
    Ok(content)
}

/// A statement in a file.
fn statement(file: &Path) -> Result<String, Failure> {
    let text = String::from_utf8(read(file)?);
    text.map_err(|_| Failure::call(anyhow!("{} is not UTF-8", file.display())))
}

impl Name {
    /// The name in full.
    fn full(self, collection: &str) -> Result<String, Failure> {
        match (self.wanted, self.account) {
            (name, _) if name.starts_with("accounts/") => Ok(name),
            (alias, Some(account)) => Ok(name::format_child(account, collection, &alias)),
            (_, None) => Err(Failure::call(anyhow!(
                "say which account with --account, or give the name in full"
            ))),
        }
    }
}

pub(super) async fn run(connection: &Connection, command: Command) -> Result<(), Failure> {
    let mut client = Client::new(connection.open().await?);
    match command {
        Command::Put(put) => put.run(&mut client).await,
        Command::Get(get) => get.run(&mut client).await,
        Command::List(list) => list.run(&mut client).await,
        Command::Versions(Named { name, format }) => {
            let request = wire::ListMappingVersionsRequest {
                name: name.full(name::MAPPINGS)?,
            };
            let answer = client.list_mapping_versions(request).await.map_err(refused)?;
            stdout::text(table(format, &answer.into_inner().mappings));
            Ok(())
        }
        Command::Delete(Delete { name, if_revision }) => {
            let name = name.full(name::MAPPINGS)?;
            let request = wire::DeleteMappingRequest {
                name: name.clone(),
                if_revision,
            };
            client.delete_mapping(request).await.map_err(refused)?;
            stdout::line(format_args!("deleted {name}"));
            Ok(())
        }
        Command::Validate(validate) => validate.run(&mut client).await,
        Command::Test(test) => test.run(&mut client).await,
        Command::Shadow(command) => shadow::run(&mut client, command).await,
    }
}

impl Put {
    async fn run(self, client: &mut Client) -> Result<(), Failure> {
        let request = wire::PutMappingRequest {
            parent: name::format_account(self.account),
            lql: statement(&self.file)?,
            if_revision: self.if_revision,
        };
        let put = client.put_mapping(request).await.map_err(refused)?.into_inner();
        stdout::text(lines(self.format, &put.mapping.unwrap_or_default()));
        Ok(())
    }
}

impl Get {
    async fn run(self, client: &mut Client) -> Result<(), Failure> {
        let request = wire::GetMappingRequest {
            name: self.name.full(name::MAPPINGS)?,
            version: self.version,
        };
        let answer = client.get_mapping(request).await.map_err(refused)?.into_inner();
        let mapping = answer.mapping.unwrap_or_default();
        match self.output {
            GetOutput::Lql => stdout::text(mapping.lql),
            GetOutput::Json => stdout::text(lines(Format::JSON, &mapping)),
            GetOutput::Text => stdout::text(format_args!(
                "{}\n{}\n",
                lines(Format::TEXT, &mapping),
                mapping.lql.trim_end()
            )),
        }
        Ok(())
    }
}

impl List {
    async fn run(self, client: &mut Client) -> Result<(), Failure> {
        let (mut mappings, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListMappingsRequest {
                parent: name::format_account(self.account),
                page_size: 0,
                page_token,
            };
            let page = client.list_mappings(request).await.map_err(refused)?.into_inner();
            mappings.extend(page.mappings);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        stdout::text(table(self.format, &mappings));
        Ok(())
    }
}

impl Validate {
    async fn run(self, client: &mut Client) -> Result<(), Failure> {
        let request = wire::ValidateMappingRequest {
            parent: name::format_account(self.account),
            lql: statement(&self.file)?,
        };
        let answer = client.validate_mapping(request).await.map_err(refused)?.into_inner();
        stdout::text(show::validated(self.format, &self.file, &answer));
        match answer.problems.len() + answer.problems_left_out as usize {
            0 => Ok(()),
            1 => Err(Failure::call(anyhow!("the statement has a problem"))),
            problems => Err(Failure::call(anyhow!("the statement has {problems} problems"))),
        }
    }
}

impl Test {
    async fn run(self, client: &mut Client) -> Result<(), Failure> {
        use wire::test_mapping_request::Mapping;
        let mapping = match (&self.lql, &self.mapping) {
            (Some(file), _) => Some(Mapping::Lql(statement(file)?)),
            (None, Some(alias)) => Some(Mapping::Name(name::format_child(self.account, name::MAPPINGS, alias))),
            (None, None) => None,
        };
        let request = wire::TestMappingRequest {
            parent: name::format_account(self.account),
            mapping,
            version: self.version,
            record: read(&self.record)?.into(),
            timestamp_field: self.timestamp_field,
        };
        let answer = client.test_mapping(request).await.map_err(refused)?.into_inner();
        stdout::text(show::tested(self.format, &answer));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
