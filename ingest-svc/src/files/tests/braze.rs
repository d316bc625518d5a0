//! The files that Braze writes: made-up people in the shape that Braze documents.

use jiff::Timestamp;
use proto::profile::v1::ProfileEvent;
use serde_json::{Value, json};

use super::*;
use crate::normalize::{Mapping, RawRecord, normalize};

const USER_DATA: &str = "\u{feff}Appboy ID,country,created_at,created_from,devices,date_of_birth,email,unsubscribed_from_emails_at,user_id,first_name,\
    first_session,gender,google_ad_ids,city,IDFAs,IDFVs,language,last_app_version_used,last_name,last_session,\
    number_of_google_ad_ids,number_of_IDFAs,number_of_IDFVs,number_of_push_tokens,number_of_roku_ad_ids,\
    number_of_windows_ad_ids,phone_number,opted_into_push_at,unsubscribed_from_push_at,random_bucket,roku_ad_ids,session_count,\
    timezone,in_app_purchase_total,user_aliases,windows_ad_ids,loyalty_tier\r\n\
    64b1f0a2c9e77b0012aa34cd,PT,2024-03-02 09:15:00.000 UTC,SDK,\"[{\"\"model\"\":\"\"Pixel 8\"\"}]\",1990-07-14,ines@example.org,,\
    cust-1001,Ines,2024-03-02 09:15:00.000 UTC,F,,Porto,,,pt,5.2.0,Duarte,2026-01-11 20:01:00.120 UTC,0,0,0,1,0,0,'+351210000000,\
    2024-03-05 10:00:00.000 UTC,,4711,,88,Europe/Lisbon,'-129.5,\"[{\"\"alias_name\"\":\"\"9e1d\"\",\"\"alias_label\"\":\"\"lytics_uid\"\"}]\",,'x\r\n";

const ADDRESSES: &str = "user_id,first_name,last_name,email,unsubscribed_from_emails_at,opted_in_to_emails_at,user_aliases\n\
    cust-1001,Ines,Duarte,ines@example.org,,2024-03-05 10:00:00.000 UTC,\n";

/// Of the reference, on one line.
const SEGMENT: &str = r#"{"created_at":"2024-03-02 09:15:00.000 UTC","external_id":"cust-1001","user_aliases":[{"alias_name":"9e1d","alias_label":"lytics_uid"}],"braze_id":"64b1f0a2c9e77b0012aa34cd","random_bucket":4711,"first_name":"Ines","last_name":"Duarte","email":"ines@example.org","dob":"1990-07-14","home_city":"Porto","country":"PT","phone":"+351210000000","language":"pt","time_zone":"Europe/Lisbon","gender":"F","last_coordinates":[-8.61,41.15],"total_revenue":129.5,"push_subscribe":"opted_in","push_opted_in_at":"2024-03-05T10:00:00.000Z","email_subscribe":"subscribed","custom_attributes":{"loyalty_tier":"gold","lytics_segments":["big_spenders"]},"custom_events":[{"name":"viewed_item","first":"2024-03-02T09:20:11.004Z","last":"2026-01-11T20:01:00.120Z","count":61}],"purchases":[{"name":"sku-77","first":"2025-01-03T12:00:00.000Z","last":"2025-12-24T08:30:10.500Z","count":3}],"devices":[{"model":"Pixel 8","carrier":null}],"campaigns_received":[{"name":"Winter mailing","api_campaign_id":"2d3e","last_received":"2025-12-20T07:00:00.105Z","engaged":{"opened_email":true},"converted":false,"multiple_converted":{"Primary Conversion Event - A":false},"in_control":false,"variation_name":"Variant 1","variation_api_id":"9a8b"}],"canvases_received":[{"name":"Onboarding","api_canvas_id":"5c6d","last_received_message":"2025-11-02 08:00:00.000 UTC","last_entered":"2025-11-01T08:00:00.000+00:00","variation_name":"Variant 1","in_control":false,"last_entered_control_at":null,"last_exited":"2025-11-03T08:00:00.000Z","steps_received":[{"name":"Welcome","api_canvas_step_id":"7e8f","last_received":"2025-11-02T08:00:00.000Z"}]},{"name":"Held back","api_canvas_id":"6c","last_received_message":null,"last_entered":"2025-11-01T08:00:00.000+00:00","in_control":true}],"cards_clicked":[{"name":"Winter promo"}]}"#;

/// What a webhook brings of the same person.
const WEBHOOK: &str = r#"{"braze_id":"64b1f0a2c9e77b0012aa34cd","city":"Porto","country":"PT","email":"ines@example.org","first_name":"Ines","gender":"F","language":"pt","last_name":"Duarte","phone_number":"+351210000000","time_zone":"Europe/Lisbon","date_of_birth":"1990-07-14","twitter_handle":""}"#;

fn braze() -> Options {
    let mut options = Options::default();
    options.format.kind = Some(Kind::Braze);
    options
}

/// What becomes of a record of the stream of webhooks.
fn event(json: &[u8]) -> ProfileEvent {
    let raw = RawRecord {
        account: 7,
        stream: "braze_users",
        json,
        timestamp_field: None,
    };
    normalize(Mapping::braze_users(), &raw, Timestamp::UNIX_EPOCH)
        .unwrap()
        .event
}

/// The records of a file's only row.
async fn records(name: &str, file: &[u8], options: Options) -> Vec<Raw> {
    let (mut rows, fault) = read_pieces(name, file, 100, options).await;
    assert!(fault.is_none() && rows.len() == 1, "{fault:?}");
    rows.remove(0).records
}

fn value(raw: &Raw) -> Value {
    assert_eq!(raw.unusable, None);
    serde_json::from_slice(&raw.json).unwrap()
}

#[tokio::test]
async fn one_mapping_reads_a_webhook_the_dashboards_csv_and_a_segment_export_alike() {
    let webhook = event(WEBHOOK.as_bytes());
    assert_eq!(webhook.fields.len(), 11);
    let csv = zip(&[("export.csv", USER_DATA.as_bytes())], deflated());
    let lines = zip_in_one_go(&[("0a1b", SEGMENT.as_bytes())], deflated());
    for (name, file) in [
        ("users-Ab12.zip", csv),
        ("export.csv", USER_DATA.as_bytes().to_vec()),
        ("users.gz", gzip(SEGMENT.as_bytes()).await),
        ("export.zip", lines),
    ] {
        let event = event(&records(name, &file, braze()).await[0].json);
        assert_eq!(
            (&event.identities, &event.fields),
            (&webhook.identities, &webhook.fields),
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_dashboards_csv_is_in_the_webhooks_words_without_what_a_spreadsheet_needs() {
    let [record] = &records("a.csv", USER_DATA.as_bytes(), braze()).await[..] else {
        panic!()
    };
    let record = value(record);
    for (name, expected) in [
        ("braze_id", json!("64b1f0a2c9e77b0012aa34cd")),
        ("external_id", json!("cust-1001")),
        ("phone_number", json!("+351210000000")),
        ("time_zone", json!("Europe/Lisbon")),
        ("total_revenue", json!("-129.5")),
        ("devices", json!([{"model": "Pixel 8"}])),
        (
            "user_aliases",
            json!([{"alias_name": "9e1d", "alias_label": "lytics_uid"}]),
        ),
        ("number_of_IDFAs", json!("0")),
        // An apostrophe of their own.
        ("loyalty_tier", json!("'x")),
    ] {
        assert_eq!(record[name], expected, "{name}");
    }
    assert_eq!(record.as_object().unwrap().len(), 37);
    let addresses = &records("a.csv", ADDRESSES.as_bytes(), braze()).await[0];
    assert_eq!(
        value(addresses),
        json!({
            "external_id": "cust-1001", "first_name": "Ines", "last_name": "Duarte", "email": "ines@example.org",
            "unsubscribed_from_emails_at": "", "opted_in_to_emails_at": "2024-03-05 10:00:00.000 UTC", "user_aliases": "",
        })
    );
    let other_case = "APPBOY ID,Email\n1,=cmd\n2,'@x\n3,'y\n4,[x\n";
    assert_eq!(
        read("a.csv", other_case.as_bytes(), braze()).await,
        good(&[
            r#"{"braze_id":"1","email":"=cmd"}"#,
            r#"{"braze_id":"2","email":"@x"}"#,
            r#"{"braze_id":"3","email":"'y"}"#,
            r#"{"braze_id":"4","email":"[x"}"#,
        ])
    );
    // What is nobody's stays as it is.
    let plain = read("a.csv", b"user_id,phone\nu,'+1\n", Options::default()).await;
    assert_eq!(plain, good(&[r#"{"user_id":"u","phone":"'+1"}"#]));
}

#[tokio::test]
async fn a_line_of_a_segment_export_is_a_user_with_every_field_and_a_summary_of_each_campaign_and_canvas() {
    let records = records("a.json", SEGMENT.as_bytes(), braze()).await;
    let [user, campaign, canvas, held_back] = &records[..] else {
        panic!("{records:?}")
    };
    let (mut line, mut user) = (serde_json::from_str::<Value>(SEGMENT).unwrap(), value(user));
    for (theirs, ours) in [
        ("home_city", "city"),
        ("dob", "date_of_birth"),
        ("phone", "phone_number"),
    ] {
        assert_eq!(user[ours].take(), line[theirs].take());
        user.as_object_mut().unwrap().remove(ours);
        line.as_object_mut().unwrap().remove(theirs);
    }
    let custom = line.as_object_mut().unwrap().remove("custom_attributes").unwrap();
    line.as_object_mut()
        .unwrap()
        .extend(custom.as_object().unwrap().clone());
    assert_eq!(user, line);
    let event = event_of(campaign, "2025-12-20T07:00:00.105Z");
    let activity = event.activity.unwrap();
    assert_eq!(activity.event_type, "users.campaigns.Summary");
    let told = activity.campaign.unwrap();
    assert_eq!((told.id.as_str(), told.name.as_str()), ("2d3e", "Winter mailing"));
    let message = activity.message.unwrap();
    assert_eq!(
        (message.variation_id.as_str(), message.variation_name.as_str()),
        ("9a8b", "Variant 1")
    );
    let rest: Value = serde_json::from_str(&activity.rest).unwrap();
    assert_eq!(
        rest,
        json!({"properties": {
            "last_received": "2025-12-20T07:00:00.105Z", "engaged": {"opened_email": true}, "converted": false,
            "multiple_converted": {"Primary Conversion Event - A": false}, "in_control": false,
        }})
    );
    let activity = event_of(canvas, "2025-11-02T08:00:00Z").activity.unwrap();
    assert_eq!(activity.event_type, "users.canvas.Summary");
    let told = activity.canvas.unwrap();
    assert_eq!(
        [told.id, told.name, told.variation_name],
        ["5c6d", "Onboarding", "Variant 1"].map(str::to_owned)
    );
    assert!(activity.rest.contains("7e8f"), "{}", activity.rest);
    event_of(held_back, "2025-11-01T08:00:00Z");
}

/// What a summary tells, of the user, at that time.
fn event_of(raw: &Raw, time: &str) -> ProfileEvent {
    let event = event(&raw.json);
    let named: Vec<_> = event
        .identities
        .iter()
        .map(|identity| identity.value.as_str())
        .collect();
    assert_eq!(named, ["64b1f0a2c9e77b0012aa34cd", "ines@example.org"]);
    let time: Timestamp = time.parse().unwrap();
    let at = event.event_time.unwrap();
    assert_eq!((at.seconds, at.nanos), (time.as_second(), time.subsec_nanosecond()));
    event
}

#[tokio::test]
async fn the_three_forms_of_a_time_are_read() {
    for time in [
        "2025-11-02 08:00:00.000 UTC",
        "2025-11-02T08:00:00.000Z",
        "2025-11-02T08:00:00.000+00:00",
    ] {
        let line = json!({"braze_id": "64b1f0a2c9e77b0012aa34cd", "email": "ines@example.org", "campaigns_received": [{"last_received": time}]});
        let records = records("a.json", line.to_string().as_bytes(), braze()).await;
        event_of(&records[1], "2025-11-02T08:00:00Z");
    }
}

#[tokio::test]
async fn a_line_that_is_no_user_is_handed_on_as_it_is_and_a_path_says_that_a_file_is_brazes() {
    for line in [
        "{\"braze_id\":",
        "[1]",
        "{}",
        "7",
        r#"{"braze_id":"1","campaigns_received":"x","canvases_received":[1,null]}"#,
    ] {
        let records = records("a.json", line.as_bytes(), braze()).await;
        assert_eq!((records.len(), &records[0].json[..]), (1, line.as_bytes()), "{line}");
    }
    for (name, city) in [
        ("braze/segment-export/7a1b/2026-01-01/3f0d-1767225600/0a1b.json", "city"),
        ("other/a.json", "home_city"),
    ] {
        let records = records(name, b"{\"home_city\":\"Porto\"}", Options::default()).await;
        assert_eq!(value(&records[0])[city], "Porto", "{name}");
    }
    let mut plain = Options::default();
    plain.format.kind = Some(Kind::Plain);
    let records = records("segment-export/a.json", b"{\"home_city\":\"Porto\"}", plain).await;
    assert_eq!(value(&records[0])["home_city"], "Porto");
}

#[tokio::test]
async fn a_line_whose_summaries_are_too_many_for_their_identifiers_is_unusable_and_the_next_is_read() {
    let aliases = json!([{"alias_name": "x".repeat(100_000), "alias_label": "crm"}]);
    let received = vec![json!({"name": "Winter"}); 100];
    let wide = json!({"braze_id": "1", "user_aliases": aliases, "campaigns_received": received});
    let lines = format!("{wide}\n{}\n", json!({"braze_id": "2"}));
    let rows = read("a.json", lines.as_bytes(), braze()).await;
    let [(1, Err(problem)), (2, Ok(_))] = rows.as_slice() else {
        panic!("{} rows", rows.len())
    };
    assert!(problem.contains("larger than 8388608 bytes"), "{problem}");
}

#[tokio::test]
async fn an_attribute_that_is_called_as_brazes_own_column_does_not_take_its_place() {
    let csv = "Appboy ID,external_id,user_id,loyalty_tier\nb-1,mine,cust-1,gold\n";
    let records = records("export.csv", csv.as_bytes(), braze()).await;
    let expected = json!({ "braze_id": "b-1", "external_id": "cust-1", "loyalty_tier": "gold" });
    assert_eq!(
        String::from_utf8_lossy(&records[0].json).matches("external_id").count(),
        1
    );
    assert_eq!(value(&records[0]), expected);
}

#[tokio::test]
async fn custom_attributes_have_the_names_of_their_columns_in_the_dashboards_csv() {
    let line = r#"{"braze_id":"b-1","dob":"1990-07-14","custom_attributes":{"loyalty_tier":"gold","braze_id":"x","date_of_birth":"y","event_type":"z","email":"of somebody else"}}"#;
    let exported = records("users.json", line.as_bytes(), braze()).await;
    let expected = json!({
        "braze_id": "b-1", "date_of_birth": "1990-07-14", "loyalty_tier": "gold",
        "custom_attributes": { "braze_id": "x", "date_of_birth": "y", "event_type": "z", "email": "of somebody else" },
    });
    assert_eq!(value(&exported[0]), expected);
    let line = r#"{"braze_id":"b-1","custom_attributes":"none"}"#;
    let exported = records("users.json", line.as_bytes(), braze()).await;
    assert_eq!(value(&exported[0]), serde_json::from_str::<Value>(line).unwrap());
}

#[tokio::test]
async fn lines_beside_the_files_of_currents_are_no_segment_export() {
    let line = r#"{"braze_id":"b-1","dob":"1990"}"#;
    let options = Options::default;
    let of_currents = records("currents/event_type=users.x/a.json", line.as_bytes(), options()).await;
    assert_eq!(value(&of_currents[0]), json!({ "braze_id": "b-1", "dob": "1990" }));
    let of_export = records("segment-export/s/a.json", line.as_bytes(), options()).await;
    assert_eq!(
        value(&of_export[0]),
        json!({ "braze_id": "b-1", "date_of_birth": "1990" })
    );
}
