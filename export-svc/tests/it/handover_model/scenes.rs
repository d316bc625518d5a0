//! Courses of events that must be possible, step by step, and where they must stop.

use stateright::Model;

use super::owner::Ended;
use super::rules::{Rules, Scale};
use super::world::{Action, Step, World};

const RULES: Rules = Rules {
    scale: Scale::SMALL,
    broken: None,
};
const TICK: Action = Action::Tick { standing: None };

fn begin() -> World {
    RULES.init_states().remove(0)
}

fn play(world: World, actions: &[Action]) -> World {
    actions.iter().fold(world, |world, action| {
        let next = RULES.next_state(&world, *action);
        next.unwrap_or_else(|| panic!("{action:?} is not possible in {world:?}"))
    })
}

fn newest(steps: &[Step]) -> Vec<Action> {
    steps.iter().map(|step| Action::By(0, *step)).collect()
}

fn can(world: &World, owner: usize, step: Step) -> bool {
    RULES.next_state(world, Action::By(owner, step)).is_some()
}

/// The newest owner reads a record and gets a lease.
fn leased(world: World) -> World {
    let steps = [Step::Read, Step::BeginProgress, Step::Commit, Step::Hear];
    play(world, &newest(&steps))
}

#[test]
fn a_released_workspace_is_served_on_without_waiting() {
    let world = leased(play(begin(), &[Action::Append, Action::TakeOver]));
    let world = play(world, &newest(&[Step::Start, Step::Send, Step::End(Ended::Accepted)]));
    let world = play(world, &[Action::Apply(0), TICK, Action::Append]);
    let world = play(world, &[Action::By(0, Step::Release), Action::TakeOver]);
    play(leased(world), &newest(&[Step::Start, Step::Send]));
}

#[test]
fn after_a_crash_the_first_request_starts_when_the_lease_is_over_and_not_before() {
    let world = leased(play(begin(), &[Action::Append, Action::TakeOver]));
    let world = play(world, &[Action::By(0, Step::Crash), Action::TakeOver]);
    let mut world = play(world, &newest(&[Step::Read]));
    for _ in 0..Scale::SMALL.lease {
        let leased = play(world.clone(), &newest(&[Step::BeginProgress, Step::Commit, Step::Hear]));
        assert!(!can(&leased, 0, Step::Start));
        world = play(world, &[TICK]);
    }
    let steps = [Step::BeginProgress, Step::Commit, Step::Hear, Step::Start, Step::Send];
    play(world, &newest(&steps));
}

#[test]
fn a_frozen_owner_that_thaws_within_its_lease_sends_and_after_it_never() {
    let world = leased(play(begin(), &[Action::Append, Action::TakeOver]));
    let world = play(world, &newest(&[Step::Start]));
    let mut world = play(world, &[Action::TakeOver]);
    for _ in 0..Scale::SMALL.lease {
        assert!(can(&world, 1, Step::Send));
        world = play(world, &[TICK]);
    }
    assert!(!can(&world, 1, Step::Send));
}

#[test]
fn a_fenced_owner_writes_nothing() {
    let world = leased(play(begin(), &[Action::Append, Action::TakeOver]));
    let world = play(world, &newest(&[Step::Start, Step::Send, Step::End(Ended::Accepted)]));
    let begun = play(world, &newest(&[Step::BeginProgress]));
    assert!(can(&begun, 0, Step::Commit));
    let fenced = play(begun, &[Action::TakeOver]);
    assert!(!can(&fenced, 1, Step::Commit) && !can(&fenced, 1, Step::BeginProgress));
}
