//! Whether whoever wants every edge got each, in order.

use std::collections::HashMap;

use crate::calls::Calls;
use crate::log::Entry;
use crate::world::{Audience, AudienceId, Export, Kind, Name};

/// Users who have missed an edge: what took effect, in that order, does not hold what the log says, in its order. In between there may
/// be more: after an interruption the edges go on from somewhere before.
pub(crate) fn missed(calls: &Calls, log: &[Entry], audiences: &[Audience]) -> Vec<String> {
    let mut wanted: HashMap<(AudienceId, Name), Vec<bool>> = HashMap::new();
    let edges = log
        .iter()
        .filter(|entry| audiences[entry.audience].export == Export::Edges);
    for entry in edges.filter(|entry| entry.user.kind() == Kind::Known) {
        if let Some(name) = entry.name {
            wanted.entry((entry.audience, name)).or_default().push(entry.enter);
        }
    }
    let mut got: HashMap<(AudienceId, Name), Vec<(u64, bool)>> = HashMap::new();
    for update in &calls.updates {
        let of_it = (update.audience, update.name);
        if let Some(order) = calls.calls[update.call]
            .applied_order
            .filter(|_| wanted.contains_key(&of_it))
        {
            got.entry(of_it).or_default().push((order, update.add));
        }
    }
    let missed = wanted.into_iter().filter_map(|((audience, name), wanted)| {
        let mut got = got.remove(&(audience, name)).unwrap_or_default();
        got.sort_unstable();
        let mut got = got.into_iter().map(|(_, add)| add);
        let missed = wanted.iter().position(|edge| !got.any(|add| add == *edge))?;
        let slug = &audiences[audience].slug;
        Some(format!("{name} of {slug}: edge {} of {}", missed + 1, wanted.len()))
    });
    missed.collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::calls::{Call, Update};
    use crate::world::{User, audiences};

    /// How many users miss an edge if the log says the one, and these took effect in this order.
    fn missing(log: &[bool], applied: &[(Option<u64>, bool)]) -> usize {
        let audiences = audiences();
        let audience = audiences
            .iter()
            .position(|audience| audience.export == Export::Edges)
            .unwrap();
        let name = User(1).named(false);
        let entry = |(offset, enter): (i64, &bool)| Entry {
            audience,
            user: User(1),
            enter: *enter,
            name: Some(name),
            previous: None,
            partition: 0,
            offset,
            time: 0,
        };
        let log: Vec<_> = (0..).zip(log).map(entry).collect();
        let call = |(applied_order, _): &(Option<u64>, bool)| Call {
            arrived_at: Timestamp::UNIX_EPOCH,
            ended_at: None,
            status: None,
            fault: None,
            applied_at: None,
            applied_order: *applied_order,
            overlaps: Vec::new(),
        };
        let update = |(call, (_, add)): (usize, &(Option<u64>, bool))| Update {
            call,
            audience,
            name,
            add: *add,
        };
        let calls = Calls {
            calls: applied.iter().map(call).collect(),
            updates: applied.iter().enumerate().map(update).collect(),
        };
        missed(&calls, &log, &audiences).len()
    }

    #[test]
    fn every_edge_is_wanted_in_order_and_more_of_them_do_no_harm() {
        let log = [true, false, true, true];
        let (enter, exit) = (|order| (Some(order), true), |order| (Some(order), false));
        assert_eq!(missing(&log, &[enter(1), exit(2), enter(3), enter(4)]), 0);
        assert_eq!(
            missing(&log, &[enter(1), exit(2), enter(3), exit(4), enter(5), enter(6)]),
            0
        );
        assert_eq!(missing(&log, &[enter(1), enter(3), enter(4)]), 1, "one is left out");
        assert_eq!(missing(&log, &[enter(1), exit(2), enter(3)]), 1, "one is folded");
        assert_eq!(
            missing(&log, &[enter(1), exit(4), enter(3), enter(2)]),
            1,
            "one is late"
        );
        assert_eq!(
            missing(&log, &[enter(1), (None, false), enter(3), enter(4)]),
            1,
            "one had no effect"
        );
    }
}
