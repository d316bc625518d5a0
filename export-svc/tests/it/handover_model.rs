//! The hand-over of a Braze workspace between replicas, checked in every order of events at small sizes.
//!
//! One person, one audience, a log of two opposite changes (three where a broken rule shows only then), two owners at a time,
//! and small numbers of ticks for lease, attempt, settle gap and doubt. What may happen, in any order and at any time:
//!
//! * any replica believes that the slot is its own and takes over: what the consumer group says is not trusted at all, so every
//!   claim, revoke, late claim and session that ends early is among it;
//! * an owner takes no step for as long as you like – it is frozen – and goes on exactly where it was; it crashes; it drains
//!   and releases the workspace;
//! * a progress transaction is begun, decided by Kafka, and heard of, with any time between;
//! * a request is made, and its body taken later or never; the call ends accepted, refused, or unknown, at once or much later;
//! * Braze applies a call at any time that the conditions of the guarantee allow, more than once if it likes, in any order, and
//!   drops it if it has not accepted it.
//!
//! All times are kept as what is left of them, so that the states are finite in number without an end of time. Where the
//! product's code decides – what is sent when, what is settled, what is written down of waits and positions – it is that code
//! which is asked (`batch`, `order`, `positions`).
//!
//! Each rule of the hand-over, and each condition of the guarantee, is then broken by itself, and the checker must find out.

mod broken;
mod owner;
mod product;
mod rules;
mod scenes;
mod step;
mod world;

use stateright::{Checker, Model};

use self::rules::{Rules, Scale};

#[test]
fn braze_ends_with_the_last_change_whatever_the_replicas_do() {
    let rules = Rules {
        scale: Scale::SMALL,
        broken: None,
    };
    let checker = rules.checker().threads(2).spawn_bfs().join();
    assert!(checker.is_done());
    checker.assert_properties();
}
