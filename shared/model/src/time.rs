//! `google.protobuf.Timestamp` ⇄ [`jiff::Timestamp`].

use jiff::Timestamp;

/// As the contracts write it.
pub fn to_wire(time: Timestamp) -> prost_types::Timestamp {
    // Jiff gives both parts the sign of the instant; the contract wants nanoseconds from 0 upward.
    let (seconds, nanos) = (time.as_second(), time.subsec_nanosecond());
    let (seconds, nanos) = if nanos < 0 {
        (seconds - 1, nanos + 1_000_000_000)
    } else {
        (seconds, nanos)
    };
    prost_types::Timestamp { seconds, nanos }
}

/// `None` when it lies outside the years −9999 to 9999 or its nanoseconds outside a second.
pub fn from_wire(time: &prost_types::Timestamp) -> Option<Timestamp> {
    if !(0..1_000_000_000).contains(&time.nanos) {
        return None;
    }
    Timestamp::new(time.seconds, time.nanos).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_survives_the_round_trip_on_both_sides_of_1970() {
        for text in [
            "2026-11-23T17:48:01.000000007Z",
            "1969-12-31T23:59:59.25Z",
            "1970-01-01T00:00:00Z",
        ] {
            let time: Timestamp = text.parse().unwrap();
            let wire = to_wire(time);
            assert!(wire.nanos >= 0, "{text}");
            assert_eq!(from_wire(&wire), Some(time), "{text}");
        }
    }

    #[test]
    fn an_impossible_instant_is_none() {
        assert_eq!(
            from_wire(&prost_types::Timestamp {
                seconds: i64::MAX,
                nanos: 0
            }),
            None
        );
        assert_eq!(from_wire(&prost_types::Timestamp { seconds: 0, nanos: -1 }), None);
    }
}
