//! `audiences`: what there is to choose from for a job.

use clap::{Args, Subcommand};
use proto::membership::v1 as wire;
use proto::membership::v1::audience_service_client::AudienceServiceClient;
use runtime::exit::Failure;
use serde_json::{Value, json};

use super::output::{Show, time};
use super::resource::every_page;
use super::{Account, Remote, refused};

#[derive(Debug, Subcommand)]
pub(super) enum Audiences {
    /// List the audiences that the account's membership topic is about, with how many members they have.
    ///
    /// To find the slug for `jobs create --audience`, or to see whether Lytics publishes an audience at all.
    ///
    /// The topic is read for it, from where it was read last; of a large one stderr tells how much is left. More than a
    /// million memberships are an estimate.
    #[command(after_long_help = examples!("audiences list --account 1234"))]
    List(List),
    /// List the profile fields that a job can take identifiers from.
    ///
    /// Those that the newest records of the membership topic carry, with how many carry each: one that few have leaves many
    /// omitted.
    #[command(after_long_help = examples!("audiences fields --account 1234"))]
    Fields(Fields),
}

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    remote: Remote,
}

#[derive(Debug, Args)]
pub(super) struct Fields {
    #[command(flatten)]
    account: Account,
    #[command(flatten)]
    remote: Remote,
}

impl Show for wire::Audience {
    const COLUMNS: &'static [&'static str] = &["AUDIENCE", "MEMBERS", "LAST CHANGE"];

    fn row(&self) -> Vec<String> {
        let about = if self.members_estimated { "~" } else { "" };
        let changed = time(self.last_change_time);
        vec![
            self.slug.clone(),
            format!("{about}{}", self.members),
            changed.as_str().unwrap_or_default().to_owned(),
        ]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![
            ("slug", json!(self.slug)),
            ("members", json!(self.members)),
            ("membersEstimated", json!(self.members_estimated)),
            ("lastChangeTime", time(self.last_change_time)),
        ]
    }
}

impl Show for wire::ProfileField {
    const COLUMNS: &'static [&'static str] = &["FIELD", "RECORDS"];

    fn row(&self) -> Vec<String> {
        vec![self.name.clone(), self.records.to_string()]
    }

    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("name", json!(self.name)), ("records", json!(self.records))]
    }
}

impl Audiences {
    pub(super) async fn run(self) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run().await,
            Self::Fields(fields) => fields.run().await,
        }
    }
}

impl List {
    async fn run(self) -> Result<(), Failure> {
        let mut client = AudienceServiceClient::new(self.remote.connect().await?);
        let parent = self.account.name();
        let mut left = u64::MAX;
        let audiences = every_page(async |page_token: String| {
            loop {
                let request = wire::ListAudiencesRequest {
                    parent: parent.clone(),
                    page_size: 0,
                    page_token: page_token.clone(),
                };
                let page = client.list_audiences(request).await?.into_inner();
                // Each call reads for some seconds: again, for as long as that brings it nearer to the end.
                if page_token.is_empty() && page.unread > 0 && page.unread < left {
                    left = page.unread;
                    eprintln!("{left} records are left to read");
                    continue;
                }
                if page_token.is_empty() && page.unread > 0 {
                    eprintln!(
                        "warning: {} records have not been read: numbers are of what was",
                        page.unread
                    );
                }
                if page_token.is_empty() && page.cut {
                    eprintln!("warning: there are more audiences than are counted");
                }
                return Ok((page.audiences, page.next_page_token));
            }
        })
        .await?;
        self.remote.output.list(&audiences);
        Ok(())
    }
}

impl Fields {
    async fn run(self) -> Result<(), Failure> {
        let mut client = AudienceServiceClient::new(self.remote.connect().await?);
        let parent = self.account.name();
        let answer = client
            .list_profile_fields(wire::ListProfileFieldsRequest { parent })
            .await;
        let answer = answer.map_err(refused)?.into_inner();
        self.remote.output.list(&answer.profile_fields);
        eprintln!("of the {} newest records", answer.records);
        Ok(())
    }
}
