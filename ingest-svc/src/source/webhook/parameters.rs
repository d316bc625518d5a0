//! What a request says beside its path and body: the token, and the parameters of the Collect API.

use axum::extract::Query;
use http::{HeaderMap, Uri, header};
use secrecy::SecretString;

/// Query parameters and token of a request. The query string holds the token, so it is read here and nowhere else, and never logged.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    /// From `key`, else `access_token`, else `Authorization` (bare, as Lytics' clients send it, or `Bearer`).
    pub(crate) token: Option<SecretString>,
    /// Read and count, publish nothing.
    pub(crate) dryrun: bool,
    /// Echoed. A JSON body never stops at a bad record, so it changes nothing here.
    pub(crate) droperrors: bool,
    /// Echoed.
    pub(crate) timestamp_field: String,
    /// Echoed.
    pub(crate) filename: String,
}

impl Parameters {
    pub(crate) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map(|query| query.0)
            .unwrap_or_default();
        let mut read = Self::default();
        let (mut key, mut access_token) = (None, None);
        for (name, value) in pairs {
            match name.as_str() {
                "key" => key = key.or(secret(value)),
                "access_token" => access_token = access_token.or(secret(value)),
                "dryrun" => read.dryrun = is_true(&value),
                "droperrors" => read.droperrors = is_true(&value),
                "timestamp_field" => read.timestamp_field = value,
                "filename" => read.filename = value,
                _ => {}
            }
        }
        read.token = key.or(access_token).or_else(|| authorization(headers));
        read
    }
}

fn secret(value: String) -> Option<SecretString> {
    (!value.is_empty()).then(|| value.into())
}

/// An empty value is not true: a template variable that is unset must not turn a webhook into a dry run.
fn is_true(value: &str) -> bool {
    value == "1" || value.eq_ignore_ascii_case("true")
}

fn authorization(headers: &HeaderMap) -> Option<SecretString> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?.trim();
    let token = match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => value,
    };
    secret(token.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn an_empty_value_does_not_make_a_dry_run() {
        for (query, dryrun) in [
            ("dryrun=", false),
            ("dryrun", false),
            ("dryrun=0", false),
            ("dryrun=1", true),
            ("dryrun=TRUE", true),
        ] {
            let read = Parameters::read(&format!("/c/1/s?{query}").parse().unwrap(), &HeaderMap::new());
            assert_eq!(read.dryrun, dryrun, "{query}");
        }
    }

    fn token(uri: &str, authorization: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization {
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
        }
        Parameters::read(&uri.parse().unwrap(), &headers)
            .token
            .map(|token| token.expose_secret().to_owned())
    }

    #[test]
    fn the_token_is_found_in_all_its_places_and_key_comes_first() {
        assert_eq!(token("/c/1/s?key=a", None).as_deref(), Some("a"));
        assert_eq!(token("/c/1/s?access_token=b", None).as_deref(), Some("b"));
        assert_eq!(token("/c/1/s", Some("c")).as_deref(), Some("c"));
        assert_eq!(token("/c/1/s", Some("Bearer d")).as_deref(), Some("d"));
        assert_eq!(token("/c/1/s", Some("bearer  e ")).as_deref(), Some("e"));
        assert_eq!(token("/c/1/s?access_token=b&key=a", Some("c")).as_deref(), Some("a"));
        assert_eq!(token("/c/1/s?key=%61b", None).as_deref(), Some("ab"));
    }

    #[test]
    fn an_empty_token_is_none() {
        assert_eq!(token("/c/1/s", None), None);
        assert_eq!(token("/c/1/s?key=", Some("Bearer ")), Some("Bearer".to_owned()));
        assert_eq!(token("/c/1/s?key=&access_token=b", None).as_deref(), Some("b"));
    }

    #[test]
    fn the_other_parameters_are_read_and_unknown_ones_ignored() {
        let uri = "/c/1/s?dryrun=true&droperrors=0&timestamp_field=ts&filename=a%20b.csv&x=%ff&key";
        let read = Parameters::read(&uri.parse().unwrap(), &HeaderMap::new());
        assert!(read.dryrun && !read.droperrors && read.token.is_none());
        assert_eq!(
            (read.timestamp_field.as_str(), read.filename.as_str()),
            ("ts", "a b.csv")
        );
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let read = Parameters::read(&"/c/1/s?key=very-secret".parse().unwrap(), &HeaderMap::new());
        assert!(!format!("{read:?}").contains("very-secret"));
    }
}
