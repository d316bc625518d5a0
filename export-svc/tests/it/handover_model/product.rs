//! The product's code, set up from an owner's state and read back into it.

use std::sync::{Arc, LazyLock};

use braze::Identifier;
use export_svc::batch::{Batch, Change, RequestId, keys, profile_key};
use export_svc::clock::Time;
use export_svc::order::{Key, Order};
use export_svc::positions::Positions;
use proto::export::v1::PartitionPosition;

use super::owner::{Call, Offset, Offsets, Owner, Wait, is_enter};
use super::rules::{Broken, Rules, Scale};

pub(super) const NOW: Time = Time::from_millis(1_000_000);
static SLUG: LazyLock<Arc<str>> = LazyLock::new(|| "vip".into());
static USER: LazyLock<Identifier> = LazyLock::new(|| Identifier::ExternalId("cust-1".into()));
pub(super) static KEYS: LazyLock<[Key; 2]> =
    LazyLock::new(|| keys(&USER, profile_key(b"1"), control::ATTRIBUTE, &SLUG));

impl Owner {
    pub(super) fn positions(&self) -> Positions {
        let open = (0..8).filter(|offset| self.open.has(*offset));
        let written = PartitionPosition {
            partition: 0,
            next: self.next.into(),
            open: open.map(i64::from).collect(),
            ..PartitionPosition::default()
        };
        let mut positions = Positions::restore(1, &[written]);
        let handed = self.pending.into_iter().chain(self.call.map(Call::offset));
        for offset in handed.filter(|offset| self.open.has(*offset)) {
            positions.hand(0, offset.into());
        }
        positions
    }

    pub(super) fn order(&self, rules: &Rules) -> Order {
        let mut order = Order::new(rules.scale.order_limits());
        if rules.is(Broken::NoOrder) {
            return order;
        }
        for (add, wait) in [(false, self.waits[0]), (true, self.waits[1])] {
            match wait {
                Some(Wait::Gap(left)) => {
                    let accepted = NOW + Scale::ticks(left) - Scale::ticks(rules.scale.settle_gap);
                    order.accepted(*KEYS, add, accepted);
                }
                Some(Wait::Doubt(left)) => order.doubt(*KEYS, add, NOW + Scale::ticks(left)),
                None => {}
            }
        }
        order
    }

    pub(super) fn batch(&self, order: &Order) -> (Batch<Offset>, Option<RequestId>) {
        let mut batch = Batch::new(Scale::batch_limits());
        let request = self.call.and_then(|call| {
            let free = Order::new(Scale::SMALL.order_limits());
            batch.push(change(call.offset()), &free, NOW);
            batch.close(&free, NOW)
        });
        if let Some(pending) = self.pending {
            batch.push(change(pending), order, NOW);
        }
        (batch, request)
    }

    /// Reads the product's code back into the state.
    pub(super) fn keep(&mut self, positions: &Positions, order: &Order, mut batch: Batch<Offset>) {
        self.pending = batch.abandon(|_| true, order, NOW).first().copied();
        for written in positions.written(|_| 0) {
            self.next = offset(written.next);
            self.open = written
                .open
                .iter()
                .fold(Offsets::default(), |open, at| open.with(offset(*at)));
        }
        self.remember(order);
    }

    pub(super) fn remember(&mut self, order: &Order) {
        let doubts = order.doubts(NOW);
        self.waits = [false, true].map(|add| match ticks_until(order.not_before(*KEYS, !add)) {
            0 => None,
            left if doubts.iter().any(|doubt| doubt.add == add) => Some(Wait::Doubt(left)),
            left => Some(Wait::Gap(left)),
        });
    }
}

pub(super) fn change(offset: Offset) -> Change<Offset> {
    Change {
        identifier: USER.clone(),
        profile: profile_key(b"1"),
        lane: 1,
        attribute: control::ATTRIBUTE.into(),
        slug: SLUG.clone(),
        occurrence: None,
        add: is_enter(offset),
        existing_only: false,
        every_edge: false,
        flush_at: NOW,
        bytes: 1,
        origin: offset,
    }
}

pub(super) fn offset(offset: i64) -> Offset {
    Offset::try_from(offset).expect("offsets of the model are small")
}

pub(super) fn ticks_until(until: Time) -> u8 {
    u8::try_from(until.since(NOW).as_secs()).expect("waits of the model are short")
}
