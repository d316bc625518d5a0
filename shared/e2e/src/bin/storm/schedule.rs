//! What goes wrong and when, by the seed. When is counted in changes published, so that a schedule means the same on a slow
//! machine.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::world::{AGAIN, LONE, WORKSPACES};

/// Changes per round of the schedule, and the least number of rounds.
const CHANGES_PER_ROUND: u64 = 50_000;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// SIGKILL to a replica, which is started again after a while.
    Kill { replica: usize, away: Duration },
    /// SIGTERM to a replica, which is started again after a while.
    Terminate { replica: usize, away: Duration },
    /// SIGSTOP to a replica for longer than its group waits for it, then SIGCONT.
    Freeze { replica: usize, away: Duration },
    /// Kafka is restarted.
    RestartBroker,
    /// The next calls end without an answer before they are read.
    Reset { calls: u64 },
    /// The next calls are answered 429.
    RateLimit { calls: u64, retry_after: Duration },
    /// The next calls are answered 5xx and have no effect.
    ServerErrors { calls: u64, status: u16 },
    /// A call takes effect, late, though it ends with 5xx (or, without a status, with a closed connection).
    LateEffect { status: Option<u16>, share: f64 },
    /// A call takes effect, late, and is not answered in time.
    Timeout { share: f64 },
    /// Braze no longer knows the workspace's key; after a while it issues another one, which the authorization is given.
    Revoke { workspace: usize, away: Duration },
    /// The workspace's passing job is deleted and, after a while, created anew.
    Recreate { workspace: usize, away: Duration },
    /// The workspace's lasting job is paused and, after a while, resumed.
    Pause { workspace: usize, away: Duration },
    /// The workspace's job that goes back does so, to this share of its way: what lies behind is sent again.
    GoBack { workspace: usize, share: f64 },
    /// From now on Kafka compacts the topic of the second account as soon as it can.
    Compact,
}

impl Act {
    /// Whether it concerns a process: one of these at a time.
    pub(crate) fn concerns_a_process(&self) -> bool {
        matches!(
            self,
            Self::Kill { .. } | Self::Terminate { .. } | Self::Freeze { .. } | Self::RestartBroker
        )
    }
}

/// What a schedule is drawn for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) changes: u64,
    pub(crate) replicas: usize,
    /// Kafka may be restarted.
    pub(crate) own_broker: bool,
    /// A frozen replica stays so for at least this long.
    pub(crate) freeze: Duration,
}

/// Every act with the number of changes that are published before it, ascending. Each kind occurs in every round.
pub(crate) fn schedule(plan: Plan) -> Vec<(u64, Act)> {
    let mut random = StdRng::seed_from_u64(plan.seed);
    let rounds = plan.changes.div_ceil(CHANGES_PER_ROUND).max(1);
    let length = plan.changes / rounds;
    let mut schedule = Vec::new();
    for round in 0..rounds {
        let mut acts = one_round(plan, &mut random);
        acts.shuffle(&mut random);
        let step = length / (acts.len() as u64 + 1);
        for (place, act) in (1..).zip(acts) {
            schedule.push((round * length + place * step, act));
        }
    }
    schedule
}

fn one_round(plan: Plan, random: &mut StdRng) -> Vec<Act> {
    let seconds =
        |random: &mut StdRng, range: std::ops::Range<f64>| Duration::from_secs_f64(random.random_range(range));
    let mut acts = vec![
        Act::Kill {
            replica: random.random_range(..plan.replicas),
            away: seconds(random, 0.0..4.0),
        },
        Act::Kill {
            replica: random.random_range(..plan.replicas),
            away: seconds(random, 0.0..4.0),
        },
        Act::Terminate {
            replica: random.random_range(..plan.replicas),
            away: seconds(random, 0.0..4.0),
        },
        Act::Freeze {
            replica: random.random_range(..plan.replicas),
            away: plan.freeze + seconds(random, 0.0..3.0),
        },
    ];
    acts.extend(plan.own_broker.then_some(Act::RestartBroker));
    for _ in 0..2 {
        acts.push(Act::Reset {
            calls: random.random_range(1..6),
        });
        acts.push(Act::RateLimit {
            calls: random.random_range(1..6),
            retry_after: Duration::from_secs(1),
        });
        acts.push(Act::ServerErrors {
            calls: random.random_range(1..6),
            status: [500, 502, 503, 504][random.random_range(..4_usize)],
        });
        acts.push(Act::Timeout { share: random.random() });
    }
    for _ in 0..4 {
        for status in [None, Some(500)] {
            acts.push(Act::LateEffect {
                status,
                share: random.random(),
            });
        }
    }
    acts.push(Act::Revoke {
        workspace: random.random_range(..WORKSPACES),
        away: seconds(random, 0.5..4.0),
    });
    for _ in 0..2 {
        acts.push(Act::Pause {
            workspace: random.random_range(..LONE),
            away: seconds(random, 0.5..4.0),
        });
    }
    // The one whose workspace has no other job, and one of the others.
    for workspace in [LONE, random.random_range(..LONE)] {
        acts.push(Act::Recreate {
            workspace,
            away: seconds(random, 0.0..2.0),
        });
    }
    for workspace in AGAIN {
        // As often to the beginning as to anywhere.
        let share = random.random_range(-1.0..1.0_f64).max(0.0);
        acts.push(Act::GoBack { workspace, share });
    }
    acts.push(Act::Compact);
    acts
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::mem::{Discriminant, discriminant};

    use super::*;

    const PLAN: Plan = Plan {
        seed: 1,
        changes: 100_000,
        replicas: 2,
        own_broker: true,
        freeze: Duration::from_secs(15),
    };

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_one_another() {
        assert_eq!(schedule(PLAN), schedule(PLAN));
        assert_ne!(schedule(PLAN), schedule(Plan { seed: 2, ..PLAN }));
    }

    #[test]
    fn everything_happens_in_every_round_in_order_and_before_the_last_change() {
        let kinds = |acts: &[(u64, Act)]| -> HashSet<Discriminant<Act>> {
            acts.iter().map(|(_, act)| discriminant(act)).collect()
        };
        let acts = schedule(PLAN);
        assert_eq!(kinds(&acts).len(), 14);
        let (first, second) = acts.split_at(acts.len() / 2);
        assert_eq!(kinds(first), kinds(second));
        assert!(acts.is_sorted_by_key(|(at, _)| *at));
        assert!(acts.iter().all(|(at, _)| *at > 0 && *at < PLAN.changes));
    }

    #[test]
    fn a_broker_of_somebody_else_is_not_restarted() {
        let acts = schedule(Plan {
            own_broker: false,
            ..PLAN
        });
        assert!(acts.iter().all(|(_, act)| *act != Act::RestartBroker));
    }

    #[test]
    fn a_short_storm_has_one_round_of_everything() {
        let acts = schedule(Plan { changes: 2_000, ..PLAN });
        assert_eq!(acts.len() * 2, schedule(PLAN).len());
    }
}
