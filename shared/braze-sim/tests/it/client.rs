//! Our own client against the simulator, around segments: that the two understand each other.

use std::time::Duration;

use braze::{Client, ClientOptions, Denial, Denied, EXPORT_FIELDS, OutputFormat, SegmentExport, StartedExport, Url};
use braze_sim::{Burst, Fault, Key, RateHeaders, Segment};
use secrecy::SecretString;

use crate::callbacks::Callbacks;
use crate::files;
use crate::s5_2_export_segment::{PATH, all_users, rig, users, with_storage};
use crate::support::Rig;

struct Caller {
    client: Client,
    base: Url,
    key: SecretString,
}

impl Caller {
    fn new(rig: &Rig, key: &str) -> Self {
        let base = Url::parse(&rig.sim.base_url()).unwrap();
        let options = ClientOptions {
            endpoint_override: Some(base.clone()),
            ..ClientOptions::default()
        };
        Self {
            client: Client::new(options).unwrap(),
            base,
            key: SecretString::from(key),
        }
    }

    async fn start(&self, export: &SegmentExport) -> Result<StartedExport, Denied> {
        self.client.export_segment(&self.base, &self.key, export).await
    }

    async fn names(&self) -> Result<Vec<String>, Denied> {
        let (mut names, mut page) = (Vec::new(), Some(0));
        while let Some(number) = page {
            assert!(number < 10, "the list comes to an end");
            let segments = self.client.segments(&self.base, &self.key, number).await?;
            names.extend(segments.segments.into_iter().map(|segment| segment.name));
            page = segments.next;
        }
        Ok(names)
    }
}

fn export(segment_id: &str) -> SegmentExport {
    SegmentExport {
        segment_id: segment_id.to_owned(),
        fields: EXPORT_FIELDS.map(str::to_owned).to_vec(),
        custom_attributes: Vec::new(),
        callback: None,
        format: OutputFormat::Zip,
    }
}

#[tokio::test]
async fn all_pages_of_the_segments_are_read() {
    let (rig, _folder) = rig().await;
    for number in 1..=199 {
        rig.handle
            .put_segment(Segment::new(number.to_string(), number.to_string(), ["a"]));
    }
    let names = Caller::new(&rig, "sim-key").names().await.unwrap();
    assert_eq!(
        (names.len(), names[0].as_str(), names[199].as_str()),
        (200, "All Users", "199")
    );
    assert_eq!(rig.handle.arrivals(), 3, "a full page may be the last");
    assert!(rig.handle.journal().iter().all(|call| call.user_agent_ok));
}

#[tokio::test]
async fn an_export_is_started_called_back_and_found_under_its_prefix() {
    let (rig, folder) = rig().await;
    users(&rig, 3).await;
    let callbacks = Callbacks::listen().await;
    for (calls, format, extension) in [(1, OutputFormat::Zip, "zip"), (2, OutputFormat::Gzip, "gz")] {
        let export = SegmentExport {
            callback: Some(SecretString::from(callbacks.url.as_str())),
            format,
            ..export(&all_users())
        };
        let started = Caller::new(&rig, "sim-key").start(&export).await.unwrap();
        assert!(started.url.is_none());
        callbacks.first(calls).await;
        let run = rig.handle.exports().pop().unwrap();
        assert_eq!(run.object_prefix, started.object_prefix);
        let ids = files::external_ids(&folder.path().join("bucket"), &run.files);
        assert_eq!(ids.concat(), ["u0", "u1", "u2"]);
        assert!(run.files.iter().all(|key| key.ends_with(extension)));
    }
    let without = with_storage(None).await;
    let started = Caller::new(&without, "sim-key")
        .start(&export(&all_users()))
        .await
        .unwrap();
    assert!(started.url.is_some());
}

#[tokio::test]
async fn a_second_export_of_a_segment_is_told_from_the_rate_limit_in_both_header_forms() {
    let (rig, _folder) = rig().await;
    rig.handle
        .change_settings(|settings| settings.segment_export.delay = Duration::from_secs(600));
    let caller = Caller::new(&rig, "sim-key");
    caller.start(&export(&all_users())).await.unwrap();
    for form in [RateHeaders::Classic, RateHeaders::Mau] {
        rig.handle.change_settings(|settings| {
            settings.rate_headers = form;
            settings.shared_limits.burst = None;
        });
        assert_eq!(
            caller.start(&export(&all_users())).await.unwrap_err().denial,
            Denial::Busy,
            "{form:?}"
        );
        rig.handle.change_settings(|settings| {
            settings.shared_limits.per_hour = None;
            settings.shared_limits.burst = Some(Burst::new(1, Duration::from_secs(600)));
        });
        caller.names().await.ok();
        for denied in [
            caller.start(&export(&all_users())).await.unwrap_err(),
            caller.names().await.unwrap_err(),
        ] {
            let Denial::RateLimited {
                retry_after: Some(wait),
            } = denied.denial
            else {
                panic!("{form:?}: {denied:?}")
            };
            // Seconds are whole, and rounded up.
            assert!(
                wait > Duration::ZERO && wait <= Duration::from_secs(601),
                "{form:?}: {wait:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_key_that_is_unknown_or_lacks_the_permission_is_told_without_it() {
    let (rig, _folder) = rig().await;
    rig.handle
        .put_key(Key::new("track-only").with_permissions(["users.track"]));
    for (key, status) in [("no-such-key", 401), ("track-only", 403)] {
        let caller = Caller::new(&rig, key);
        for denied in [
            caller.start(&export(&all_users())).await.unwrap_err(),
            caller.names().await.unwrap_err(),
        ] {
            assert_eq!(denied.denial, Denial::Unauthorized { status: Some(status) }, "{denied}");
            assert!(!denied.to_string().contains(key), "{denied}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_exported_and_what_may_have_been_started_is_told() {
    let (rig, _folder) = rig().await;
    let caller = Caller::new(&rig, "sim-key");
    assert_eq!(
        caller.start(&export("nope")).await.unwrap_err().denial,
        Denial::Unusable
    );
    let nothing = SegmentExport {
        fields: Vec::new(),
        ..export(&all_users())
    };
    assert_eq!(caller.start(&nothing).await.unwrap_err().denial, Denial::Unusable);
    rig.handle.inject(Fault::drop_after().on(PATH).next(1));
    assert_eq!(
        caller.start(&export(&all_users())).await.unwrap_err().denial,
        Denial::Unknown
    );
    assert_eq!(rig.handle.exports().len(), 1);
}
