//! What looks wrong with a job or an edit of it, going by what its topic holds: a hint, never a reason to refuse it.

use std::time::Duration;

use control::{Identifiers, Writes};
use model::AccountNumber;

use super::{Catalog, Listing, Sample};

/// How long the topic may be read for hints, while the job is being created.
const WITHIN: Duration = Duration::from_secs(1);
/// Names that a hint lists.
const LISTED_MAX: usize = 10;

impl Catalog {
    /// Audiences that no record is about, and fields of the job that no recent record has.
    pub(crate) async fn warnings(
        &self,
        account: AccountNumber,
        audiences: &[String],
        identifiers: &Identifiers,
        writes: &Writes,
    ) -> Vec<String> {
        let looking = async {
            // Twice the time, since the two may take turns; and no client of Kafka that hangs holds the caller up.
            let both = futures::future::join(self.audiences(account, WITHIN), self.fields(account, WITHIN));
            tokio::time::timeout(2 * WITHIN, both).await
        };
        match looking.await {
            Ok((Ok(listing), Ok(sample))) => {
                let mut warnings = about_audiences(&listing, audiences);
                warnings.extend(about_fields(&sample, identifiers.fields().chain(writes.fields())));
                warnings
            }
            Ok((Err(error), _) | (_, Err(error))) => vec![unreadable("audiences and fields", &error)],
            Err(_) => vec![slow("audiences and fields")],
        }
    }

    /// Of audiences that come to a job, those that no record is about.
    pub(crate) async fn audience_warnings(&self, account: AccountNumber, audiences: &[String]) -> Vec<String> {
        if audiences.is_empty() {
            return Vec::new();
        }
        match tokio::time::timeout(2 * WITHIN, self.audiences(account, WITHIN)).await {
            Ok(Ok(listing)) => about_audiences(&listing, audiences),
            Ok(Err(error)) => vec![unreadable("audiences", &error)],
            Err(_) => vec![slow("audiences")],
        }
    }
}

fn unreadable(unchecked: &str, error: &super::Error) -> String {
    let error = runtime::error::chain(error);
    format!("{unchecked} are unchecked, the membership topic cannot be read: {error}")
}

fn slow(unchecked: &str) -> String {
    format!("{unchecked} are unchecked, reading the membership topic takes too long")
}

fn about_audiences(listing: &Listing, audiences: &[String]) -> Vec<String> {
    let known = |slug: &String| {
        let audiences = &listing.audiences;
        audiences.binary_search_by(|audience| audience.slug.cmp(slug)).is_ok()
    };
    let left = match listing.unread {
        0 => String::new(),
        unread => format!(" of those read so far ({unread} are left to read)"),
    };
    let warning = |slug: &String| {
        format!(
            "audience \"{slug}\": no record of the membership topic is about it{left}; `export-svc audiences list` shows those that there are"
        )
    };
    audiences.iter().filter(|slug| !known(slug)).map(warning).collect()
}

fn about_fields<'a>(sample: &Sample, fields: impl Iterator<Item = (&'static str, &'a str)>) -> Vec<String> {
    if sample.records == 0 {
        return Vec::new();
    }
    let mut there: Vec<&String> = sample.fields.keys().take(LISTED_MAX).collect();
    there.sort_unstable();
    let there = match there.as_slice() {
        [] => "they have no fields".to_owned(),
        there => {
            let names: Vec<&str> = there.iter().map(|name| name.as_str()).collect();
            format!("they have {}", names.join(", "))
        }
    };
    let warning = |(setting, field): (&str, &str)| {
        format!(
            "{setting} \"{field}\": none of the {} newest records has it; {there}",
            sample.records
        )
    };
    fields
        .filter(|(_, field)| !sample.fields.contains_key(*field))
        .map(warning)
        .collect()
}

#[cfg(test)]
mod tests {
    use control::CustomEvents;

    use super::*;
    use crate::catalog::Audience;

    fn listing(unread: u64) -> Listing {
        let audience = |slug: &str| Audience {
            slug: slug.to_owned(),
            members: 1,
            estimated: false,
            changed: None,
        };
        Listing {
            audiences: vec![audience("news"), audience("vip")],
            unread,
            cut: false,
        }
    }

    #[test]
    fn an_audience_that_no_record_is_about_is_told_and_how_far_was_read() {
        let wanted = ["vip".to_owned(), "vpi".to_owned()];
        let warnings = about_audiences(&listing(0), &wanted);
        assert_eq!(warnings.len(), 1);
        assert!(warnings[0].starts_with("audience \"vpi\": no record"), "{warnings:?}");
        assert!(!warnings[0].contains("left to read"));
        assert!(about_audiences(&listing(9), &wanted)[0].contains("(9 are left to read)"));
    }

    #[test]
    fn a_field_that_no_recent_record_has_is_told_with_those_that_there_are() {
        let identifiers = Identifiers {
            external_id_field: Some("usr_id".to_owned()),
            braze_id_field: Some("user_id".to_owned()),
            ..Identifiers::default()
        };
        let sample = Sample {
            records: 12,
            fields: [("user_id".to_owned(), 12)].into(),
        };
        let writes = Writes::Events(CustomEvents {
            time_field: Some("sincee".to_owned()),
            ..CustomEvents::default()
        });
        let warnings = about_fields(&sample, identifiers.fields().chain(writes.fields()));
        assert_eq!(
            warnings,
            [
                "external_id_field \"usr_id\": none of the 12 newest records has it; they have user_id",
                "event_time_field \"sincee\": none of the 12 newest records has it; they have user_id",
            ]
        );
        assert!(
            about_fields(&Sample::default(), identifiers.fields()).is_empty(),
            "nothing to go by"
        );
    }

    #[tokio::test]
    async fn a_topic_that_cannot_be_read_is_a_hint_and_no_failure() {
        let nowhere = kafka::Config {
            brokers: "127.0.0.1:1".to_owned(),
            ..kafka::Config::default()
        };
        let catalog = Catalog::new(nowhere);
        let account = AccountNumber::new(7).unwrap();
        let (audiences, identifiers) = (["vip".to_owned()], Identifiers::default());
        let warnings = catalog
            .warnings(account, &audiences, &identifiers, &Writes::default())
            .await;
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with("audiences and fields are unchecked"),
            "{warnings:?}"
        );
    }
}
