//! Braze workspaces, and the slots that decide which replica serves them.

use kafka::Change;
use proto::control::v1::{ControlRecord, StoredWorkspace, control_record};

use crate::authorization::Authorization;
use crate::record::{self, Resource, State};
use crate::{Directory, Error};

/// A Braze workspace: there as long as an authorization names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Unique in the installation ([`Authorization::workspace_key`]).
    pub key: String,
    /// Partition of `export-placement`: whoever owns it serves the workspace. Chosen when the first authorization named the
    /// workspace, and kept.
    pub slot: i32,
}

impl Resource for Workspace {
    const KIND: &'static str = "workspace/";

    fn name(&self) -> String {
        self.key.clone()
    }

    fn to_record(&self) -> ControlRecord {
        let stored = StoredWorkspace {
            workspace: self.key.clone(),
            slot: self.slot,
        };
        ControlRecord {
            resource: Some(control_record::Resource::Workspace(stored)),
        }
    }

    fn from_record(record: ControlRecord, _: u64) -> Option<Self> {
        let control_record::Resource::Workspace(stored) = record.resource? else {
            return None;
        };
        Some(Self {
            key: stored.workspace,
            slot: stored.slot,
        })
    }
}

/// The change that gives a new workspace its slot: of `slots`, the one that the fewest others have. `None` if it has one.
pub(crate) fn decide_slot(state: &impl State, key: &str, slots: i32) -> Option<Change> {
    if record::find::<Workspace>(state, key).ok()?.is_some() {
        return None;
    }
    let mut used = vec![0_usize; usize::try_from(slots).unwrap_or(0).max(1)];
    for (_, other) in record::all::<Workspace>(state, "") {
        if let Some(used) = usize::try_from(other.slot).ok().and_then(|slot| used.get_mut(slot)) {
            *used += 1;
        }
    }
    let least = (0..)
        .zip(&used)
        .min_by_key(|(_, used)| **used)
        .map_or(0, |(slot, _)| slot);
    let workspace = Workspace {
        key: key.to_owned(),
        slot: least,
    };
    Some(workspace.put())
}

/// The change that forgets a workspace, if `leaving` is the last authorization that names it.
pub(crate) fn decide_forget(state: &impl State, leaving: &Authorization) -> Option<Change> {
    let key = leaving.workspace_key();
    record::find::<Workspace>(state, &key).ok()??;
    let mut others = record::all::<Authorization>(state, "accounts/");
    let named = others.any(|(name, other)| name != leaving.name() && other.workspace_key() == key);
    (!named).then(|| record::delete::<Workspace>(&key))
}

impl Directory {
    /// Every Braze workspace that has a slot.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the table is too old.
    pub fn workspaces(&self) -> Result<Vec<Workspace>, Error> {
        self.all("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::testing::Map;

    fn slot(map: &Map, key: &str) -> i32 {
        record::fetch::<Workspace>(map, key).unwrap().slot
    }

    fn add(map: &mut Map, key: &str, slots: i32) {
        let change = decide_slot(map, key, slots).into_iter().collect();
        map.apply(Ok((change, ()))).unwrap();
    }

    #[test]
    fn a_new_workspace_gets_the_slot_that_the_fewest_have_and_keeps_it() {
        let mut map = Map::default();
        for key in ["1.a", "1.b", "1.c"] {
            add(&mut map, key, 2);
        }
        assert_eq!(["1.a", "1.b", "1.c"].map(|key| slot(&map, key)), [0, 1, 0]);
        assert_eq!(decide_slot(&map, "1.a", 2), None);
        add(&mut map, "1.d", 2);
        assert_eq!(slot(&map, "1.d"), 1);
    }

    #[test]
    fn a_slot_that_was_given_up_is_the_least_used() {
        let mut map = Map::default();
        for key in ["1.a", "1.b", "1.c"] {
            add(&mut map, key, 3);
        }
        map.apply(Ok((vec![record::delete::<Workspace>("1.b")], ()))).unwrap();
        add(&mut map, "1.d", 3);
        assert_eq!(slot(&map, "1.d"), 1);
    }
}
