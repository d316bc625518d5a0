//! Jobs that write to different attributes, or may not create users, share objects.

use serde_json::{Value, json};

use super::*;

fn to_other(change: Change<u32>) -> Change<u32> {
    Change {
        attribute: "other".into(),
        ..change
    }
}

fn existing_only(change: Change<u32>) -> Change<u32> {
    Change {
        existing_only: true,
        ..change
    }
}

/// The objects of one request that holds all of these, all of one user.
fn body(changes: Vec<Change<u32>>) -> Value {
    let (mut batch, order) = (Batch::new(limits()), order());
    for change in changes {
        assert!(
            batch.push(change, &order, at(0)).is_none(),
            "none takes another's place"
        );
    }
    batch.drain();
    let request = batch.close(&order, at(0)).unwrap();
    let body = batch.body(request).unwrap();
    assert!(batch.close(&order, at(0)).is_none(), "all are in it");
    let body: Value = serde_json::from_slice(body.body()).unwrap();
    body["attributes"].clone()
}

#[test]
fn an_object_says_of_each_attribute_what_is_added_and_removed() {
    let vip = |add| change(1, "vip", add, at(0));
    let several = vec![
        vip(true),
        to_other(vip(false)),
        to_other(change(1, "news", true, at(0))),
        change(1, "risk", false, at(0)),
    ];
    let expected = json!([{
        "external_id": "cust-1",
        "lytics_segments": {"add": ["vip"], "remove": ["risk"]},
        "other": {"add": ["news"], "remove": ["vip"]},
    }]);
    assert_eq!(body(several), expected);
    let one = json!([{"external_id": "cust-1", "other": {"add": ["vip"]}}]);
    assert_eq!(body(vec![to_other(vip(true))]), one);
}

#[test]
fn the_same_slug_in_another_attribute_is_another_value_and_waits_for_nothing() {
    let (mut batch, mut order) = (Batch::new(limits()), order());
    batch.drain();
    batch.push(change(1, "vip", true, at(0)), &order, at(0));
    assert_eq!(deliver(&mut batch, &mut order, at(0)).len(), 1);
    batch.push(to_other(change(1, "vip", false, at(0))), &order, at(0));
    assert_eq!(deliver(&mut batch, &mut order, at(0)).len(), 1, "at once");
    batch.push(change(1, "vip", false, at(0)), &order, at(0));
    assert_eq!(
        batch.close(&order, at(2)),
        None,
        "the opposite waits for the settle gap"
    );
}

#[test]
fn what_there_was_before_there_were_attributes_is_known_by_the_same_keys() {
    let user = Identifier::ExternalId("cust-1".into());
    let keys = |attribute| keys(&user, profile_key(b"1"), attribute, "vip");
    assert_eq!(
        keys(control::ATTRIBUTE),
        [989_820_608_897_973_195, 2_206_500_146_292_816_361]
    );
    assert_ne!(keys(control::ATTRIBUTE), keys("other"));
}

#[test]
fn an_object_creates_its_user_only_if_a_change_in_it_may() {
    let flag = |changes| body(changes)[0].get("_update_existing_only").is_some();
    let (vip, news) = (|add| change(1, "vip", add, at(0)), || change(1, "news", true, at(0)));
    assert!(!flag(vec![vip(true)]));
    assert!(flag(vec![existing_only(vip(true))]));
    assert!(
        flag(vec![vip(false), existing_only(news())]),
        "who adds may not, who removes never does"
    );
    assert!(!flag(vec![vip(true), existing_only(news())]), "one of them may");
    assert!(flag(vec![existing_only(vip(true)), to_other(existing_only(news()))]));
}

#[test]
fn a_body_with_long_attribute_names_is_no_longer_than_was_reckoned() {
    let (mut batch, order) = (Batch::new(limits()), order());
    for number in 0..4 {
        let attribute = "\u{1}".repeat(200) + &number.to_string();
        let change = Change {
            attribute: attribute.as_str().into(),
            ..change(1, "vip", number % 2 == 0, at(0))
        };
        batch.push(change, &order, at(0));
    }
    let reckoned = batch.open_bytes;
    batch.drain();
    let request = batch.close(&order, at(0)).unwrap();
    let body = batch.body(request).unwrap().body().len();
    assert!(body <= reckoned, "{body} bytes, and {reckoned} were reckoned");
}
