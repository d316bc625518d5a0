//! Braze's instances, and which REST host belongs to each.

use reqwest::Url;

/// One Braze data centre, as customers name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instance {
    /// The customer's word for it, such as `US-01`.
    pub name: &'static str,
    /// Host of the dashboard, which customers see in their browser.
    pub dashboard: &'static str,
    /// Host of the REST API.
    pub rest: &'static str,
}

/// Every published instance. There is no US-09.
pub const INSTANCES: [Instance; 15] = [
    row("US-01", "dashboard-01.braze.com", "rest.iad-01.braze.com"),
    row("US-02", "dashboard-02.braze.com", "rest.iad-02.braze.com"),
    row("US-03", "dashboard-03.braze.com", "rest.iad-03.braze.com"),
    row("US-04", "dashboard-04.braze.com", "rest.iad-04.braze.com"),
    row("US-05", "dashboard-05.braze.com", "rest.iad-05.braze.com"),
    row("US-06", "dashboard-06.braze.com", "rest.iad-06.braze.com"),
    row("US-07", "dashboard-07.braze.com", "rest.iad-07.braze.com"),
    row("US-08", "dashboard-08.braze.com", "rest.iad-08.braze.com"),
    row("US-10", "dashboard.us-10.braze.com", "rest.us-10.braze.com"),
    row("EU-01", "dashboard-01.braze.eu", "rest.fra-01.braze.eu"),
    row("EU-02", "dashboard-02.braze.eu", "rest.fra-02.braze.eu"),
    row("AU-01", "dashboard.au-01.braze.com", "rest.au-01.braze.com"),
    row("ID-01", "dashboard.id-01.braze.com", "rest.id-01.braze.com"),
    row("JP-01", "dashboard.jp-01.braze.com", "rest.jp-01.braze.com"),
    row("KR-01", "dashboard.kr-01.braze.com", "rest.kr-01.braze.com"),
];

const fn row(name: &'static str, dashboard: &'static str, rest: &'static str) -> Instance {
    Instance { name, dashboard, rest }
}

/// The text names no instance, and is not a REST host of Braze's either.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown Braze instance {given:?}: use a name such as US-01, the dashboard's address, or https://rest.<instance>.braze.com"
)]
pub struct UnknownInstance {
    /// What was given.
    pub given: String,
}

/// The REST endpoint of an instance, given as its name (`us-01`, in any case), as the address of its dashboard, or, for
/// instances newer than this table, as the REST host itself: `https://rest.<one label>.braze.com` or `.eu`. Nothing else
/// is accepted, because the endpoint is given by customers and we send it a secret.
///
/// # Errors
/// [`UnknownInstance`] with what was given.
pub fn endpoint(text: &str) -> Result<Url, UnknownInstance> {
    let given = text.trim();
    let rest = INSTANCES
        .iter()
        .find(|instance| instance.name.eq_ignore_ascii_case(given) || is_dashboard(instance, given))
        .map(|instance| format!("https://{}", instance.rest))
        .or_else(|| is_rest_endpoint(given).then(|| given.to_owned()));
    rest.and_then(|rest| Url::parse(&rest).ok())
        .ok_or_else(|| UnknownInstance {
            given: given.to_owned(),
        })
}

/// A dashboard's address as it stands in a browser: scheme and path are ignored.
fn is_dashboard(instance: &Instance, given: &str) -> bool {
    let address = given.strip_prefix("https://").unwrap_or(given);
    let host = address.split('/').next().unwrap_or(address);
    host.eq_ignore_ascii_case(instance.dashboard)
}

/// `^https://rest\.[a-z0-9-]+\.braze\.(com|eu)$`
fn is_rest_endpoint(given: &str) -> bool {
    let label = given.strip_prefix("https://rest.").and_then(|host| {
        host.strip_suffix(".braze.com")
            .or_else(|| host.strip_suffix(".braze.eu"))
    });
    label.is_some_and(|label| {
        !label.is_empty()
            && label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instance_is_found_by_name_in_any_case_and_by_its_dashboard() {
        for instance in INSTANCES {
            let expected = format!("https://{}/", instance.rest);
            for given in [
                instance.name.to_owned(),
                instance.name.to_lowercase(),
                format!(" {} ", instance.name),
                instance.dashboard.to_owned(),
                format!("https://{}", instance.dashboard),
                format!(
                    "https://{}/users/user_search?locale=en",
                    instance.dashboard.to_uppercase()
                ),
                format!("https://{}", instance.rest),
            ] {
                assert_eq!(endpoint(&given).map(String::from), Ok(expected.clone()), "{given}");
            }
        }
    }

    #[test]
    fn an_instance_newer_than_the_table_is_given_by_its_rest_host() {
        assert_eq!(
            endpoint("https://rest.us-11.braze.com").map(String::from),
            Ok("https://rest.us-11.braze.com/".into())
        );
        assert_eq!(
            endpoint("https://rest.fra-03.braze.eu").map(String::from),
            Ok("https://rest.fra-03.braze.eu/".into())
        );
    }

    #[test]
    fn a_host_that_is_not_brazes_rest_host_is_refused() {
        for given in [
            "",
            "US-09",
            "US-1",
            "http://rest.iad-01.braze.com",
            "https://rest.iad-01.braze.com.evil.example",
            "https://rest.iad-01.braze.com/",
            "https://rest.iad-01.braze.com:8443",
            "https://rest.iad-01.braze.org",
            "https://rest..braze.com",
            "https://rest.a.b.braze.com",
            "https://rest.IAD-01.braze.com",
            "https://rest.x@evil.braze.com",
            "https://evil.example/rest.iad-01.braze.com",
            "https://sdk.iad-01.braze.com",
            "https://rest.iad-01.braze.com\nhttps://rest.iad-02.braze.com",
            "http://169.254.169.254",
            "dashboard-09.braze.com",
        ] {
            assert_eq!(
                endpoint(given),
                Err(UnknownInstance {
                    given: given.to_owned()
                })
            );
        }
    }
}
