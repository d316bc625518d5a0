//! `jobs update`.

use anyhow::anyhow;
use clap::Args;
use jiff::Timestamp;
use prost_types::FieldMask;
use proto::export::v1 as wire;
use proto::export::v1::export_job_service_client::ExportJobServiceClient;
use runtime::exit::Failure;

use super::options::{Cap, OrNone, Quiet};
use crate::cli::refused;
use crate::cli::resource::One;

#[derive(Debug, Args)]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    change: Change,
    /// Remove the slugs of the audiences that are removed from their members at Braze, going by the membership topic; `jobs get` tells
    /// when that is over.
    #[arg(long, requires = "removed")]
    remove_slugs: bool,
    /// Only if this is still the job's revision.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true)]
    revision: u64,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
struct Change {
    /// What people call the job; unique in the account.
    #[arg(long)]
    label: Option<String>,
    /// For people.
    #[arg(long)]
    description: Option<String>,
    /// Slug of an audience to export as well; may be given several times.
    #[arg(long = "add-audience", value_name = "SLUG")]
    added: Vec<String>,
    /// Slug of an audience to export no more; may be given several times. Users at Braze keep it, unless you say --remove-slugs.
    #[arg(long = "remove-audience", value_name = "SLUG")]
    removed: Vec<String>,
    /// The guard, as at creation; 0 is no guard.
    #[arg(long, value_name = "PERCENT")]
    guard: Option<u32>,
    /// Hold changes at this time of the day, such as "22:00-06:00 Europe/Berlin", or never: none.
    #[arg(long, value_name = "FROM-TO ZONE")]
    quiet: Option<OrNone<Quiet>>,
    /// When the job is completed, such as 2027-01-01T00:00:00+01:00, or never: none. A completed job goes on where it was.
    #[arg(long, value_name = "TIME")]
    expires: Option<OrNone<Timestamp>>,
    /// How many enters may be sent in a while, such as 10000/24h, or any number: none.
    #[arg(long, value_name = "NUMBER/TIME")]
    user_cap: Option<OrNone<Cap>>,
}

impl Change {
    /// The job's audiences as they are to be.
    fn audiences(&self, present: Vec<String>) -> Result<Vec<String>, String> {
        if let Some(slug) = self.removed.iter().find(|slug| !present.contains(slug)) {
            return Err(format!(
                "{slug} is no audience of the job; it has {}",
                present.join(", ")
            ));
        }
        if let Some(slug) = self.added.iter().find(|slug| present.contains(slug)) {
            return Err(format!("{slug} is an audience of the job already"));
        }
        let kept = present.into_iter().filter(|slug| !self.removed.contains(slug));
        Ok(kept.chain(self.added.iter().cloned()).collect())
    }
}

impl Update {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let (channel, name) = self.one.find::<wire::ExportJob>().await?;
        let mut client = ExportJobServiceClient::new(channel);
        let Self {
            one,
            change,
            remove_slugs,
            revision,
        } = self;
        let mut job = wire::ExportJob {
            name: name.clone(),
            revision,
            ..wire::ExportJob::default()
        };
        let mut paths = Vec::new();
        if !change.added.is_empty() || !change.removed.is_empty() {
            let answer = client.get_export_job(wire::GetExportJobRequest { name }).await;
            let present = answer.map_err(refused)?.into_inner().export_job.unwrap_or_default();
            job.audiences = change
                .audiences(present.audiences)
                .map_err(|problem| Failure::call(anyhow!(problem)))?;
            // Or what somebody else adds meanwhile would be removed again.
            if revision == 0 {
                job.revision = present.revision;
            }
            paths.push("audiences".to_owned());
        }
        for (field, wanted, path) in [
            (&mut job.label, change.label, "label"),
            (&mut job.description, change.description, "description"),
        ] {
            if let Some(wanted) = wanted {
                *field = wanted;
                paths.push(path.to_owned());
            }
        }
        if change.guard.is_some() {
            job.guard_percent = change.guard;
            paths.push("guard_percent".to_owned());
        }
        if let Some(quiet) = change.quiet {
            job.quiet_window = quiet.into_wire();
            paths.push("quiet_window".to_owned());
        }
        if let Some(expires) = change.expires {
            job.expire_time = expires.into_wire();
            paths.push("expire_time".to_owned());
        }
        if let Some(cap) = change.user_cap {
            job.user_cap = cap.into_wire();
            paths.push("user_cap".to_owned());
        }
        let request = wire::UpdateExportJobRequest {
            export_job: Some(job),
            update_mask: Some(FieldMask { paths }),
            remove_slugs,
        };
        let updated = client.update_export_job(request).await.map_err(refused)?.into_inner();
        super::warn(&updated.warnings);
        one.show(updated.export_job);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audiences_are_added_behind_the_others_and_what_is_not_so_is_said() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let change = |added: &[&str], removed: &[&str]| {
            let change = Change {
                label: None,
                description: None,
                added: words(added),
                removed: words(removed),
                guard: None,
                quiet: None,
                expires: None,
                user_cap: None,
            };
            change.audiences(words(&["vip", "gold"]))
        };
        assert_eq!(change(&["new"], &["vip"]), Ok(words(&["gold", "new"])));
        assert!(change(&["gold"], &[]).unwrap_err().contains("gold"));
        assert!(change(&[], &["lost"]).unwrap_err().contains("vip, gold"));
    }
}
