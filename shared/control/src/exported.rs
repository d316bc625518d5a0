//! Which audiences users at Braze may have, because a job exports them or once did.

use kafka::Change;
use model::AccountNumber;
use proto::control::v1::{ControlRecord, ExportedAudience, control_record};

use crate::export_job::ExportJob;
use crate::record::{self, Resource, State};

/// An audience on a Braze instance. Its record outlives the job, the authorization and the account, as the users' slugs do. It does
/// not say which workspace: with another authorization, the same one may be called by another name.
struct Exported {
    account: AccountNumber,
    instance: String,
    attribute: String,
    audience: String,
}

impl Resource for Exported {
    const KIND: &'static str = "exportedAudience/";

    fn name(&self) -> String {
        format!(
            "{}/{}/{}/{}",
            self.account, self.instance, self.attribute, self.audience
        )
    }

    fn to_record(&self) -> ControlRecord {
        let exported = ExportedAudience {
            account: self.account.get(),
            instance: self.instance.clone(),
            attribute: self.attribute.clone(),
            audience: self.audience.clone(),
        };
        ControlRecord {
            resource: Some(control_record::Resource::ExportedAudience(exported)),
        }
    }

    fn from_record(record: ControlRecord, _: u64) -> Option<Self> {
        let control_record::Resource::ExportedAudience(exported) = record.resource? else {
            return None;
        };
        Some(Self {
            account: AccountNumber::new(exported.account)?,
            instance: exported.instance,
            attribute: exported.attribute,
            audience: exported.audience,
        })
    }
}

/// Those of these audiences that no job of the account ever exported to the job's attribute at this Braze instance, and the changes
/// that remember them.
pub(crate) fn decide_new(
    state: &impl State,
    job: &ExportJob,
    instance: &str,
    audiences: &[String],
) -> (Vec<String>, Vec<Change>) {
    // Nothing is left of events that were sent: whoever this job tells nothing has heard nothing of it.
    if !job.options.writes.is_attribute() {
        return (audiences.to_vec(), Vec::new());
    }
    let exported = |audience: &String| Exported {
        account: job.account,
        instance: instance.to_owned(),
        attribute: job.options.attribute.clone(),
        audience: audience.clone(),
    };
    // That there is a record says enough, be it readable or not.
    let is_new = |audience: &&String| {
        state
            .get(&record::key::<Exported>(&exported(audience).name()))
            .is_none()
    };
    let new: Vec<_> = audiences.iter().filter(is_new).cloned().collect();
    let changes = new.iter().map(|audience| exported(audience).put()).collect();
    (new, changes)
}
