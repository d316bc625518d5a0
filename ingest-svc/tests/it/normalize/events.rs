//! The event around the fields: who it is about, what it is called, what it says of itself.

use ingest_svc::normalize::{Mapping, RawRecord, Reason, record_key};
use proto::profile::v1::{Identity, MergeOperator};

use super::{RECEIVED, normalize, run, text};

fn identities(event: &[Identity]) -> Vec<(&str, &str)> {
    event
        .iter()
        .map(|identity| (identity.field.as_str(), identity.value.as_str()))
        .collect()
}

#[test]
fn an_event_says_where_it_comes_from_and_when_it_came() {
    let event = run(
        Mapping::braze_users(),
        r#"{"braze_id":"b1","city":"Porto","date_of_birth":"19820101"}"#,
    )
    .unwrap()
    .event;
    assert_eq!(
        (event.account, event.stream.as_str(), event.mapping.as_str()),
        (1234, "braze_users", "braze_users")
    );
    assert_eq!((event.mapping_version, event.event_time), (0, None));
    let received = event.receive_time.unwrap();
    assert_eq!((received.seconds, received.nanos), (1_773_144_000, 250_000_000));
    assert_eq!(event.event_id.len(), 32);
    // In the order of the columns, without those that gave nothing.
    let fields: Vec<_> = event.fields.iter().map(|field| field.name.as_str()).collect();
    assert_eq!(fields, ["br_user_id", "city", "birth_date"]);
    assert!(
        event
            .fields
            .iter()
            .all(|field| field.merge_operator() == MergeOperator::Latest)
    );
}

#[test]
fn every_identity_is_carried_in_the_order_of_by_and_the_first_keys_the_record() {
    let all = run(
        Mapping::braze_users(),
        r#"{"twitter_handle":"ann_x","email":"Ann@Ex.org","braze_id":"b1"}"#,
    )
    .unwrap()
    .event;
    assert_eq!(
        identities(&all.identities),
        [("br_user_id", "b1"), ("email", "ann@ex.org"), ("tw_uid", "ann_x")]
    );
    assert_eq!(record_key(&all), "br_user_id:b1");
    let two = run(
        Mapping::braze_users(),
        r#"{"twitter_handle":"ann_x","email":"Ann@Ex.org","braze_id":""}"#,
    )
    .unwrap()
    .event;
    assert_eq!(record_key(&two), "email:ann@ex.org");
    // BY decides, not the order of the columns; a list gives all of its values.
    let mapping = Mapping::parse("SELECT a, b KIND []string FROM s INTO user BY b OR a ALIAS q").unwrap();
    let listed = run(&mapping, r#"{"a":"1","b":["x","y","x"]}"#).unwrap().event;
    assert_eq!(identities(&listed.identities), [("b", "x"), ("b", "y"), ("a", "1")]);
}

#[test]
fn an_identity_over_256_bytes_or_blank_is_left_out_and_counted() {
    let long = "é".repeat(128) + "x";
    let record = serde_json::json!({"braze_id": long, "email": "ann@ex.org", "twitter_handle": " \t", "city": long});
    let normalized = run(Mapping::braze_users(), &record.to_string()).unwrap();
    assert_eq!(normalized.identities_dropped, 2);
    assert_eq!(identities(&normalized.event.identities), [("email", "ann@ex.org")]);
    let fields: Vec<_> = normalized
        .event
        .fields
        .iter()
        .map(|field| field.name.as_str())
        .collect();
    assert_eq!(fields, ["city", "email"], "other fields may be as long as they like");
    let just_short_enough = serde_json::json!({"braze_id": "é".repeat(128)});
    assert_eq!(
        run(Mapping::braze_users(), &just_short_enough.to_string())
            .unwrap()
            .identities_dropped,
        0
    );
    let mapping = Mapping::parse("SELECT b KIND []string FROM s INTO user BY b ALIAS q").unwrap();
    let normalized = run(&mapping, &serde_json::json!({"b": [long, "x", " "]}).to_string()).unwrap();
    assert_eq!(
        (normalized.identities_dropped, identities(&normalized.event.identities)),
        (2, vec![("b", "x")])
    );
}

#[test]
fn a_record_that_identifies_nobody_is_told_by_which_fields_it_could() {
    for record in [
        r#"{"first_name":"Nobody","email":"","braze_id":"","twitter_handle":""}"#,
        r#"{"email":"not an address","braze_id":null}"#,
        r#"{"braze_id":" "}"#,
        "{}",
    ] {
        let reason = run(Mapping::braze_users(), record).unwrap_err();
        assert_eq!(reason.code(), "no_identity", "{record}");
        assert_eq!(
            reason.to_string(),
            "the record identifies nobody: no usable value for br_user_id, email or tw_uid",
            "{record}"
        );
    }
}

#[test]
fn what_is_no_json_object_is_told_as_such() {
    let reason = |json: &[u8]| {
        normalize(
            Mapping::braze_users(),
            &RawRecord {
                account: 1,
                stream: "s",
                json,
                timestamp_field: None,
            },
            RECEIVED,
        )
        .unwrap_err()
    };
    assert_eq!(reason(b"[]"), Reason::NotAnObject { found: "a list" });
    assert_eq!(
        reason(b"[]").to_string(),
        "the record must be a JSON object, not a list"
    );
    assert_eq!(reason(b"{\"a\": \"b\"c\"}").code(), "malformed");
    assert!(reason(b"{\"a\": \"b\"c\"}").to_string().contains("line 1 column 10"));
    assert!(reason(b"{\"braze_id\":\"\xc3\"}").to_string().contains("utf-8"));
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(reason(deep.as_bytes()).to_string().contains("recursion limit"));
}

#[test]
fn the_last_of_two_members_with_one_name_counts() {
    let event = run(
        Mapping::braze_users(),
        r#"{"braze_id":"1","city":"A","braze_id":"2","city":null}"#,
    )
    .unwrap()
    .event;
    assert_eq!(record_key(&event), "br_user_id:2");
    assert_eq!(event.fields.len(), 1, "a null that comes last means no value");
}

#[test]
fn nested_fields_are_reached_by_their_flat_names() {
    let mapping = Mapping::parse(
        "SELECT user.id AS id, `devices[1].os` AS os, tags KIND []string FROM s INTO user BY id ALIAS q",
    )
    .unwrap();
    let record = r#"{"user":{"id":7},"devices":[{"os":"iOS"},{"os":"Android"}],"tags":["a","b","a"]}"#;
    let fields = run(&mapping, record).unwrap().event.fields;
    let values: Vec<_> = fields
        .into_iter()
        .map(|field| text(field.value.unwrap().kind.unwrap()))
        .collect();
    assert_eq!(values, ["7", "Android", "a|b"]);
}

#[test]
fn the_id_is_that_of_the_record_and_not_of_its_arrival() {
    let id = |account: u64, stream: &str, json: &str, received| {
        let raw = RawRecord {
            account,
            stream,
            json: json.as_bytes(),
            timestamp_field: None,
        };
        normalize(Mapping::braze_users(), &raw, received)
            .unwrap()
            .event
            .event_id
    };
    let first = id(1234, "braze_users", r#"{"braze_id":"1","city":"Porto"}"#, RECEIVED);
    assert_eq!(
        first,
        id(
            1234,
            "braze_users",
            r#"{ "braze_id": "1", "city": "Porto" }"#,
            jiff::Timestamp::UNIX_EPOCH
        )
    );
    assert_ne!(
        first,
        id(1235, "braze_users", r#"{"braze_id":"1","city":"Porto"}"#, RECEIVED)
    );
    assert_ne!(first, id(1234, "other", r#"{"braze_id":"1","city":"Porto"}"#, RECEIVED));
    assert_ne!(
        first,
        id(1234, "braze_users", r#"{"braze_id":"1","city":"Faro"}"#, RECEIVED)
    );
}

#[test]
fn a_record_of_an_array_has_the_id_it_has_alone() {
    let body = "[ {\"braze_id\": \"1\"} ,\n{\"braze_id\" :\"2\"}]";
    let records: Vec<&serde_json::value::RawValue> = serde_json::from_str(body).unwrap();
    let ids: Vec<_> = records
        .iter()
        .map(|record| run(Mapping::braze_users(), record.get()).unwrap().event.event_id)
        .collect();
    let alone = |json| run(Mapping::braze_users(), json).unwrap().event.event_id;
    assert_eq!(ids, [alone(r#"{"braze_id":"1"}"#), alone(r#"{"braze_id":"2"}"#)]);
}

#[test]
fn the_field_that_the_sender_names_says_when_it_happened_and_what_now_means() {
    let mapping = Mapping::parse("SELECT id, now() AS seen FROM s INTO user BY id ALIAS q").unwrap();
    let of = |json: &str, timestamp_field| {
        let raw = RawRecord {
            account: 1,
            stream: "s",
            json: json.as_bytes(),
            timestamp_field,
        };
        let event = normalize(&mapping, &raw, RECEIVED).unwrap().event;
        let seen = text(event.fields[1].value.clone().unwrap().kind.unwrap());
        (event.event_time.map(|time| time.seconds), seen)
    };
    let record = r#"{"id":1,"a":{"ts":"2026-01-02 03:04:05"},"_ts":1767323045000}"#;
    let told = (Some(1_767_323_045), "2026-01-02T03:04:05Z".to_owned());
    assert_eq!(of(record, Some("a.ts")), told);
    assert_eq!(of(record, Some("_ts")), told, "milliseconds as well");
    let arrived = (None, "2026-03-10T12:00:00.25Z".to_owned());
    assert_eq!(of(record, None), arrived);
    assert_eq!(of(record, Some("other")), arrived, "a record without the field");
    assert_eq!(of(r#"{"id":1,"ts":"soon"}"#, Some("ts")), arrived, "no date");
    assert_eq!(of(r#"{"id":1,"ts":null}"#, Some("ts")), arrived);
}
