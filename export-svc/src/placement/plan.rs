//! What is to be served, as the control table says it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use control::sealing::Sealer;
use control::{AllExportJobs, Authorization, Budget, Directory};
use model::AccountNumber;

use crate::feed::{Grant, JobSet};
use crate::hash::stable_hash;
use crate::health;

/// Every Braze workspace that has a job that is not killed, or that has slugs to remove.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) workspaces: BTreeMap<String, Wanted>,
    /// See [`JobSet::unreadable`].
    pub(super) unreadable: Arc<BTreeSet<String>>,
}

/// What one Braze workspace has to do.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) account: AccountNumber,
    /// Whoever owns this slot serves it.
    pub(super) slot: i32,
    pub(super) jobs: Arc<JobSet>,
}

/// Makes plans; opens every sealed key once.
pub(super) struct Planner {
    directory: Directory,
    sealer: Arc<Sealer>,
    slots: i32,
    opened: HashMap<String, Grant>,
}

impl Planner {
    pub(super) fn new(directory: Directory, sealer: Arc<Sealer>, slots: i32) -> Self {
        Self {
            directory,
            sealer,
            slots,
            opened: HashMap::new(),
        }
    }

    /// # Errors
    /// When the control table is too old to know.
    pub(super) fn plan(&mut self) -> Result<Plan, control::Error> {
        let authorizations = self.directory.authorizations().all()?;
        let mut opened = HashMap::new();
        let mut budgets: HashMap<String, Budget> = HashMap::new();
        for authorization in authorizations {
            let name = authorization.name();
            let budget = budgets.entry(authorization.workspace_key()).or_default();
            *budget = budget.stricter(authorization.budget);
            let known = self
                .opened
                .remove(&name)
                .filter(|known| known.revision == authorization.secret_revision());
            let grant = known.unwrap_or_else(|| self.open(&authorization));
            opened.insert(name, grant);
        }
        self.opened = opened;
        let mut workspaces: BTreeMap<String, (AccountNumber, JobSet)> = BTreeMap::new();
        let AllExportJobs { jobs, unreadable } = self.directory.export_jobs().all()?;
        let unreadable: Arc<BTreeSet<String>> = Arc::new(unreadable.into_iter().collect());
        for job in jobs.into_iter().filter(|job| !job.is_over()) {
            let (_, wanted) = workspaces
                .entry(job.workspace.clone())
                .or_insert_with(|| (job.account, JobSet::none(&unreadable)));
            wanted.budget = budgets.get(&job.workspace).copied().unwrap_or_default();
            if let Some(grant) = self.opened.get(&job.authorization) {
                wanted.authorizations.insert(job.authorization.clone(), grant.clone());
            }
            wanted.jobs.push(Arc::new(job));
        }
        let chosen = self.directory.workspaces()?.into_iter();
        let chosen: HashMap<String, i32> = chosen.map(|workspace| (workspace.key, workspace.slot)).collect();
        let shared = |(key, (account, jobs)): (String, _)| {
            let wanted = Wanted {
                account,
                slot: slot(&key, chosen.get(&key).copied(), self.slots),
                jobs: Arc::new(jobs),
            };
            (key, wanted)
        };
        Ok(Plan {
            unreadable,
            workspaces: workspaces.into_iter().map(shared).collect(),
        })
    }

    fn open(&self, authorization: &Authorization) -> Grant {
        let credential = health::credential(authorization, &self.sealer);
        if let Err(reason) = &credential {
            tracing::error!("authorization {} cannot be used: {reason}", authorization.name());
        }
        Grant {
            revision: authorization.secret_revision(),
            credential,
        }
    }
}

/// The slot that was chosen, or, for a workspace without one or with one that is not there, one that every replica comes to.
fn slot(workspace: &str, chosen: Option<i32>, slots: i32) -> i32 {
    chosen.filter(|slot| (0..slots).contains(slot)).unwrap_or_else(|| {
        let slots = u64::try_from(slots).unwrap_or(1).max(1);
        i32::try_from(stable_hash(&[workspace.as_bytes()]) % slots).unwrap_or(0)
    })
}

impl JobSet {
    /// Whether nothing has changed: revisions tell.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let jobs = |set: &Self| {
            set.jobs
                .iter()
                .map(|job| (job.name(), job.revision))
                .collect::<Vec<_>>()
        };
        let authorizations = |set: &Self| {
            set.authorizations
                .iter()
                .map(|(name, grant)| (name.clone(), grant.revision))
                .collect::<Vec<_>>()
        };
        jobs(self) == jobs(other)
            && authorizations(self) == authorizations(other)
            && self.budget == other.budget
            && self.unreadable == other.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_without_a_slot_or_with_one_that_is_gone_gets_one_that_is_there() {
        assert_eq!(slot("1.a", Some(63), 64), 63);
        for chosen in [None, Some(-1), Some(64)] {
            assert!((0..64).contains(&slot("1.a", chosen, 64)));
            assert_eq!(slot("1.a", chosen, 64), slot("1.a", None, 64));
        }
        assert_ne!(slot("1.a", None, 64), slot("1.b", None, 64));
    }
}
