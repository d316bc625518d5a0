//! A user in the shape of Braze's exports (reference §5.4).

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Happening, User};

/// Users fall into so many random buckets.
const BUCKETS: u64 = 10_000;

/// The user's fields that are wanted, without empty ones; events and purchases are summed up by name.
pub(crate) fn exported(user: &User, wanted: impl Fn(&str) -> bool) -> Value {
    let mut object = match serde_json::to_value(user) {
        Ok(Value::Object(object)) => object,
        _ => Map::new(),
    };
    for (key, list) in [("custom_events", &user.custom_events), ("purchases", &user.purchases)] {
        object.insert(key.to_owned(), sums(list));
    }
    if let Some((created_at, number)) = made(&user.braze_id) {
        let bucket = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % BUCKETS;
        object.insert("random_bucket".to_owned(), json!(bucket));
        object.insert("created_at".to_owned(), json!(created_at));
    }
    object.retain(|key, value| {
        let empty = value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty);
        !empty && wanted(key)
    });
    Value::Object(object)
}

fn sums(list: &[Happening]) -> Value {
    let mut sums: Vec<(&str, &str, &str, u64)> = Vec::new();
    for happening in list {
        let (name, time) = (happening.name.as_str(), happening.time.as_str());
        match sums.iter_mut().find(|(summed, ..)| *summed == name) {
            Some((_, first, last, count)) => {
                (*first, *last, *count) = ((*first).min(time), (*last).max(time), *count + 1);
            }
            None => sums.push((name, time, time, 1)),
        }
    }
    let sums = sums.into_iter();
    sums.map(|(name, first, last, count)| json!({"name": name, "first": first, "last": last, "count": count}))
        .collect()
}

/// When a user was made and the how many-th it was, which its id tells.
fn made(braze_id: &str) -> Option<(String, u64)> {
    let (seconds, number) = braze_id.split_at_checked(8)?;
    let made = Timestamp::from_second(i64::from_str_radix(seconds, 16).ok()?).ok()?;
    let made = made.strftime("%Y-%m-%d %H:%M:%S.000 UTC").to_string();
    Some((made, u64::from_str_radix(number, 16).ok()?))
}
