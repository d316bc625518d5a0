//! `GET /segments/list` and `POST /users/export/segment`: which segments there are, and having the users of one written to the
//! customer's object storage.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::client::{Answered, NoAnswer, Unanswered};
use crate::redact::{parts, redact_all};
use crate::{Client, RateHints, Url};

/// Segments on a page of the list; a shorter page is the last one.
const PAGE_LEN: usize = 100;
/// Longer than any prefix of Braze's: a UUID, a dash and seconds.
const PREFIX_CHARS_MAX: usize = 100;

/// The names that Braze documents for `fields_to_export`.
pub const EXPORT_FIELDS: [&str; 33] = [
    "apps",
    "attributed_ad",
    "attributed_adgroup",
    "attributed_campaign",
    "attributed_source",
    "braze_id",
    "campaigns_received",
    "canvases_received",
    "cards_clicked",
    "country",
    "created_at",
    "custom_attributes",
    "custom_events",
    "devices",
    "dob",
    "email",
    "email_subscribe",
    "external_id",
    "first_name",
    "gender",
    "home_city",
    "language",
    "last_coordinates",
    "last_name",
    "phone",
    "purchases",
    "push_subscribe",
    "push_tokens",
    "random_bucket",
    "time_zone",
    "total_revenue",
    "uninstalled_at",
    "user_aliases",
];

/// A segment of the Braze workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// What an export is asked for by.
    pub id: String,
    /// Its name in Braze's dashboard.
    pub name: String,
}

/// A page of the segments, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentPage {
    /// At most 100; archived ones are left out.
    pub segments: Vec<Segment>,
    /// The number of the next page; `None` after the last.
    pub next: Option<u32>,
}

/// What to export.
#[derive(Debug, Clone)]
pub struct SegmentExport {
    /// The segment's id.
    pub segment_id: String,
    /// At least one of [`EXPORT_FIELDS`]. `custom_attributes` means all of them.
    pub fields: Vec<String>,
    /// Custom attributes by name, at most 500; without a meaning if `fields` has `custom_attributes`.
    pub custom_attributes: Vec<String>,
    /// The URL that Braze posts to when the files are there. Braze signs nothing, so it must be unguessable: it is a secret.
    pub callback: Option<SecretString>,
    /// How the files are packed, in the customer's own storage.
    pub format: OutputFormat,
}

/// How the files of an export are packed: one JSON object per line in all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// Zip archives of one or more files.
    Zip,
    /// Files compressed by gzip.
    Gzip,
}

/// An export that Braze has started.
#[derive(Debug, Clone)]
pub struct StartedExport {
    /// The folder of its files: `segment-export/<segment id>/<date of completion>/<object prefix>/`. Letters, digits and dashes.
    pub object_prefix: String,
    /// Where to fetch the files for a few hours, if the Braze workspace has no object storage of its own. Whoever knows it can.
    pub url: Option<SecretString>,
}

/// Why Braze has told no segments, or started no export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Denied {
    /// What to do next.
    pub denial: Denial,
    /// For operators: what happened, or Braze's words without our key and the callback.
    pub message: String,
}

/// The kinds of [`Denied`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denial {
    /// No export was started, for the call never left this process: no name resolved, no connection, no TLS. Back off.
    NotSent,
    /// 401 or 403, or (without a status) a key that is no HTTP header: the key is not known or lacks the permission
    /// (`segments.list`, `users.export.segment`). Stop until it changes.
    Unauthorized {
        /// The status of the answer, if the key could be sent at all.
        status: Option<u16>,
    },
    /// 429. Wait for `retry_after`, else back off (from 1 s, doubled, full jitter, at most 60 s).
    RateLimited {
        /// The wait that Braze asks for, 0 s to 3,600 s.
        retry_after: Option<Duration>,
    },
    /// 429 though the rate limit has room: Braze exports this segment already, or 100 others of the company. Look again in
    /// minutes.
    Busy,
    /// 400: no such segment, or a field that Braze does not know. A repeat ends the same way.
    Unusable,
    /// No answer in time, 5xx, 408, 425, or a 2xx that is not Braze's: an export may have been started.
    Unknown,
    /// Anything else, such as 404 (wrong address) or a redirect. A repeat ends the same way.
    Other {
        /// The status of the answer.
        status: u16,
    },
}

impl Client {
    /// A page of the segments at the instance at `base`; the first one is 0.
    ///
    /// # Errors
    /// [`Denied`] if Braze does not tell.
    pub async fn segments(&self, base: &Url, key: &SecretString, page: u32) -> Result<SegmentPage, Denied> {
        let answered = self.ask(base, key, &format!("/segments/list?page={page}"), None).await;
        read(
            answered,
            &[key],
            |rate| Denial::RateLimited {
                retry_after: rate.wait(),
            },
            |json| {
                let segments: Vec<Segment> = json
                    .get("segments")?
                    .as_array()?
                    .iter()
                    .map(segment)
                    .collect::<Option<_>>()?;
                let next = (segments.len() >= PAGE_LEN).then(|| page.saturating_add(1));
                Some(SegmentPage { segments, next })
            },
        )
    }

    /// Starts an export at the instance at `base`. Braze writes about 5,000 users per file, for an hour or longer if there are
    /// millions, and then posts to the callback.
    ///
    /// # Errors
    /// [`Denied`]; unless it is [`Denial::Unknown`], no export was started.
    pub async fn export_segment(
        &self,
        base: &Url,
        key: &SecretString,
        export: &SegmentExport,
    ) -> Result<StartedExport, Denied> {
        let answered = self.ask(base, key, "/users/export/segment", Some(export.body())).await;
        // The whole URL first: where it stands as it is, it is replaced as one.
        let parts: Vec<SecretString> = export.callback.iter().flat_map(parts).collect();
        let secrets: Vec<&SecretString> = export.callback.iter().chain(&parts).chain([key]).collect();
        read(answered, &secrets, limited_or_busy, |json| {
            let object_prefix = json.get("object_prefix")?.as_str().filter(|prefix| is_prefix(prefix))?;
            Some(StartedExport {
                object_prefix: object_prefix.to_owned(),
                url: json.get("url").and_then(Value::as_str).map(SecretString::from),
            })
        })
    }
}

impl SegmentExport {
    fn body(&self) -> String {
        let format = match self.format {
            OutputFormat::Zip => "zip",
            OutputFormat::Gzip => "gzip",
        };
        let mut body = json!({
            "segment_id": self.segment_id, "fields_to_export": self.fields, "output_format": format,
        });
        if !self.custom_attributes.is_empty() {
            body["custom_attributes_to_export"] = json!(self.custom_attributes);
        }
        if let Some(callback) = &self.callback {
            body["callback_endpoint"] = json!(callback.expose_secret());
        }
        body.to_string()
    }
}

/// What the answer says: `success` reads a 2xx, and what it cannot read is not Braze's word.
fn read<T>(
    answered: Result<Answered, Unanswered>,
    secrets: &[&SecretString],
    limited: impl Fn(RateHints) -> Denial,
    success: impl Fn(&Value) -> Option<T>,
) -> Result<T, Denied> {
    let Answered { status, rate, body } = answered.map_err(|Unanswered { why, message }| Denied {
        denial: match why {
            NoAnswer::NoKey => Denial::Unauthorized { status: None },
            NoAnswer::NotSent => Denial::NotSent,
            NoAnswer::Lost => Denial::Unknown,
        },
        message,
    })?;
    let json = body
        .as_deref()
        .and_then(|body| serde_json::from_slice::<Value>(body).ok());
    if status.is_success()
        && let Some(success) = json.as_ref().and_then(success)
    {
        return Ok(success);
    }
    let said = json
        .as_ref()
        .and_then(|json| json.get("message").or_else(|| json.get("error"))?.as_str());
    let said = said.map_or_else(|| format!("status {status}, and not in Braze's words"), str::to_owned);
    let denial = match status.as_u16() {
        401 | 403 => Denial::Unauthorized {
            status: Some(status.as_u16()),
        },
        429 => limited(rate),
        400 => Denial::Unusable,
        200..=299 | 408 | 425 | 500.. => Denial::Unknown,
        status => Denial::Other { status },
    };
    Err(Denied {
        denial,
        message: redact_all(&said, secrets),
    })
}

/// A 429 says which of the two limits it is about only by its headers, for its words are not documented: without a wait, and with
/// room in the rate limit or no word of it, it is about the exports that run.
fn limited_or_busy(rate: RateHints) -> Denial {
    let room = rate.remaining.map_or(rate.reset.is_none(), |left| left > 0);
    if rate.retry_after.is_none() && room {
        Denial::Busy
    } else {
        Denial::RateLimited {
            retry_after: rate.wait(),
        }
    }
}

fn segment(entry: &Value) -> Option<Segment> {
    let text = |key: &str| entry.get(key)?.as_str().map(str::to_owned);
    Some(Segment {
        id: text("id")?,
        name: text("name")?,
    })
}

/// It becomes part of a key in object storage.
fn is_prefix(prefix: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    !prefix.is_empty() && prefix.len() <= PREFIX_CHARS_MAX && prefix.bytes().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_429_is_about_the_rate_limit_if_its_headers_say_so_and_else_about_the_exports_that_run() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        let limited = |retry_after| Denial::RateLimited { retry_after };
        for (remaining, reset, retry_after, denial) in [
            (Some(0), seconds(60), None, limited(seconds(60))),
            (None, None, seconds(9), limited(seconds(9))),
            (Some(7), seconds(60), seconds(9), limited(seconds(9))),
            (None, seconds(60), None, limited(seconds(60))),
            (Some(0), None, None, limited(None)),
            (Some(249_999), seconds(60), None, Denial::Busy),
            (None, None, None, Denial::Busy),
        ] {
            let rate = RateHints {
                limit: None,
                remaining,
                reset,
                retry_after,
            };
            assert_eq!(limited_or_busy(rate), denial, "{rate:?}");
        }
    }

    #[test]
    fn the_body_has_what_is_asked_for_and_nothing_else() {
        let mut export = SegmentExport {
            segment_id: "7a1b".into(),
            fields: vec!["braze_id".into(), "email".into()],
            custom_attributes: Vec::new(),
            callback: None,
            format: OutputFormat::Zip,
        };
        let body = |export: &SegmentExport| serde_json::from_str::<Value>(&export.body()).unwrap();
        assert_eq!(
            body(&export),
            json!({"segment_id": "7a1b", "fields_to_export": ["braze_id", "email"], "output_format": "zip"})
        );
        export.custom_attributes = vec!["tier".into()];
        export.callback = Some(SecretString::from("https://import.example.net/done?token=t"));
        export.format = OutputFormat::Gzip;
        assert_eq!(
            body(&export),
            json!({
                "segment_id": "7a1b", "fields_to_export": ["braze_id", "email"], "output_format": "gzip",
                "custom_attributes_to_export": ["tier"],
                "callback_endpoint": "https://import.example.net/done?token=t",
            })
        );
    }

    #[test]
    fn a_prefix_holds_nothing_that_means_something_in_a_key() {
        assert!(is_prefix("3f0d7c1e-5b1a-4a3d-8c7e-0a9b8c7d6e5f-1767225600"));
        for prefix in ["", "..", "a/b", "a b", "a%2Fb", &"a".repeat(PREFIX_CHARS_MAX + 1)] {
            assert!(!is_prefix(prefix), "{prefix:?}");
        }
    }
}
