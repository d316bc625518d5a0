//! Which audiences users at Braze may have, because a job exports them or once did.

use kafka::Change;
use proto::control::v1::{ControlRecord, ExportedAudience, control_record};

use crate::export_job::{ATTRIBUTE, ExportJob};
use crate::record::{self, Resource, State};

/// An audience in a Braze workspace. Its record outlives the job, the authorization and the account, as the users' slugs do.
struct Exported {
    workspace: String,
    attribute: String,
    audience: String,
}

impl Resource for Exported {
    const KIND: &'static str = "exportedAudience/";

    fn name(&self) -> String {
        format!("{}/{}/{}", self.workspace, self.attribute, self.audience)
    }

    fn to_record(&self) -> ControlRecord {
        let exported = ExportedAudience {
            workspace: self.workspace.clone(),
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
            workspace: exported.workspace,
            attribute: exported.attribute,
            audience: exported.audience,
        })
    }
}

/// The audiences of a new job that no job ever exported to its Braze workspace, and the changes that remember them.
pub(crate) fn decide_new(state: &impl State, job: &ExportJob) -> (Vec<String>, Vec<Change>) {
    let exported = |audience: &String| Exported {
        workspace: job.workspace.clone(),
        attribute: ATTRIBUTE.to_owned(),
        audience: audience.clone(),
    };
    // That there is a record says enough, be it readable or not.
    let is_new = |audience: &&String| {
        state
            .get(&record::key::<Exported>(&exported(audience).name()))
            .is_none()
    };
    let new: Vec<_> = job.audiences.iter().filter(is_new).cloned().collect();
    let changes = new.iter().map(|audience| exported(audience).put()).collect();
    (new, changes)
}
