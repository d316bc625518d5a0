//! `mappings shadow put | get | list | delete`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use model::{AccountNumber, name};
use proto::mapping::v1 as wire;
use runtime::exit::Failure;
use runtime::stdout;

use super::show::{Format, lines, report, table};
use super::{Client, Delete, List, Named, refused, statement};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Run a statement beside whatever mapping reads its stream, and publish nothing of it
    ///
    /// Every replica compares what both make of the records that it takes in, as far as that fits into a twentieth of a
    /// processor; what does not is passed over. Putting it again begins anew. When it does what it should: `mappings put`
    /// the same file, and `mappings shadow delete`.
    #[command(after_long_help = examples!("mappings shadow put braze_users.lql --account 1234"))]
    Put(Put),
    /// Show how a candidate differs from the live mapping, by what the replica that answers has compared
    ///
    /// Of values only the shape is shown: letters are a or A, digits 9.
    #[command(after_long_help = examples!("mappings shadow get braze_users --account 1234"))]
    Get(Named),
    /// Show the candidates of an account
    ///
    /// To see which are still there: each costs a little of every replica.
    #[command(after_long_help = examples!("mappings shadow list --account 1234"))]
    List(List),
    /// Take a candidate away
    ///
    /// When it has been put as the mapping, or given up. What was compared is forgotten.
    #[command(after_long_help = examples!("mappings shadow delete braze_users --account 1234"))]
    Delete(Delete),
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Put {
    /// File with the statement; '-' is stdin
    file: PathBuf,
    /// Number of the account
    #[arg(long, value_name = "NUMBER")]
    account: AccountNumber,
    /// Refuse if the candidate is not at this revision; 0: if there is one already
    #[arg(long, value_name = "REVISION")]
    if_revision: Option<u64>,
    #[command(flatten)]
    format: Format,
}

pub(super) async fn run(client: &mut Client, command: Command) -> Result<(), Failure> {
    match command {
        Command::Put(put) => {
            let request = wire::PutShadowRequest {
                parent: name::format_account(put.account),
                lql: statement(&put.file)?,
                if_revision: put.if_revision,
            };
            let answer = client.put_shadow(request).await.map_err(refused)?.into_inner();
            stdout::text(lines(put.format, &answer.shadow.unwrap_or_default()));
        }
        Command::Get(Named { name, format }) => {
            let request = wire::GetShadowRequest {
                name: name.full(name::SHADOWS)?,
            };
            let answer = client.get_shadow(request).await.map_err(refused)?.into_inner();
            stdout::text(report(format, &answer));
        }
        Command::List(List { account, format }) => {
            // An account has fewer than fit on a page.
            let request = wire::ListShadowsRequest {
                parent: name::format_account(account),
                ..Default::default()
            };
            let answer = client.list_shadows(request).await.map_err(refused)?.into_inner();
            stdout::text(table(format, &answer.shadows));
        }
        Command::Delete(Delete { name, if_revision }) => {
            let name = name.full(name::SHADOWS)?;
            let request = wire::DeleteShadowRequest {
                name: name.clone(),
                if_revision,
            };
            client.delete_shadow(request).await.map_err(refused)?;
            stdout::line(format_args!("deleted {name}"));
        }
    }
    Ok(())
}
