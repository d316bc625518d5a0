//! What a request says beside its path and body: the token, and the parameters of the Collect API.

use std::borrow::Cow;

use http::{HeaderMap, Uri, header};
use secrecy::SecretString;
use serde_json::Map;

use crate::source::rows::{self, CsvOptions};

/// A parameter that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadParameter {
    /// Not one of those we know.
    #[error("`delimiter` must be a comma, `t` for a tab, `|` or `;`")]
    Delimiter,
    /// Not a JSON object.
    #[error("`append` must be a JSON object, URL-encoded, such as {{\"plan\":\"gold\"}}")]
    Append,
}

/// Query parameters and token of a request. The query string holds the token, so it is read here and nowhere else, and never logged.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    /// From `key`, else `access_token`, else `Authorization` (bare, as Lytics' clients send it, or `Bearer`).
    pub(super) token: Option<SecretString>,
    /// Read and count, publish nothing.
    pub(super) dryrun: bool,
    /// Pass over rows of a CSV that cannot be read. JSON never stops at a bad record.
    pub(super) droperrors: bool,
    /// The field that says when a record happened; empty if none does.
    pub(super) timestamp_field: String,
    /// Echoed.
    pub(super) filename: String,
    /// The account, if the path has none.
    pub(super) account_id: Option<String>,
    headers: String,
    delimiter: String,
    append: String,
    /// What is no parameter: fields of the record, if the query string is one.
    pub(super) fields: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn read(uri: &Uri, headers: &HeaderMap) -> Self {
        let mut read = Self::default();
        let (mut key, mut access_token) = (None, None);
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        for (name, value) in pairs.map(|(name, value)| (name, value.into_owned())) {
            match &*name {
                "key" => key = key.or(secret(value)),
                "access_token" => access_token = access_token.or(secret(value)),
                "dryrun" => read.dryrun = is_true(&value),
                "droperrors" => read.droperrors = is_true(&value),
                "timestamp_field" => read.timestamp_field = value,
                "filename" => read.filename = value,
                "account_id" => read.account_id = Some(value).filter(|account| !account.is_empty()),
                "headers" => read.headers = value,
                "delimiter" => read.delimiter = value,
                "append" => read.append = value,
                _ => read.fields.push((name.into_owned(), value)),
            }
        }
        read.token = key.or(access_token).or_else(|| authorization(headers));
        read
    }

    /// How to read a CSV.
    ///
    /// # Errors
    /// When one of the parameters for it cannot be used.
    pub(super) fn csv(&self) -> Result<CsvOptions, BadParameter> {
        let delimiter = match &*self.delimiter {
            "" => b',',
            word => rows::delimiter(word).ok_or(BadParameter::Delimiter)?,
        };
        let append = match &*self.append {
            "" => Map::new(),
            append => serde_json::from_str(append).map_err(|_| BadParameter::Append)?,
        };
        let headers = self.headers.split(',').map(str::to_owned).collect();
        Ok(CsvOptions {
            delimiter,
            headers: (!self.headers.is_empty()).then_some(headers),
            append,
        })
    }

    /// The fields of the query string.
    pub(super) fn fields(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let fields = self.fields.iter();
        fields.map(|(name, value)| (Cow::from(name), Cow::from(value)))
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
    fn how_to_read_a_csv_is_told_by_parameters_and_a_bad_one_is_named() {
        let csv = |query: &str| {
            Parameters::read(&format!("/collect/bulk/s?{query}").parse().unwrap(), &HeaderMap::new()).csv()
        };
        assert_eq!(
            csv("headers=id,first%20name&delimiter=t&append=%7B%22plan%22%3A%22gold%22%7D").unwrap(),
            CsvOptions {
                delimiter: b'\t',
                headers: Some(vec!["id".to_owned(), "first name".to_owned()]),
                append: serde_json::from_str(r#"{"plan":"gold"}"#).unwrap(),
            }
        );
        let none = csv("headers=&delimiter=&append=").unwrap();
        assert_eq!((none.delimiter, none.headers, none.append.len()), (b',', None, 0));
        for (delimiter, byte) in [("%7C", b'|'), ("%3B", b';'), (",", b','), ("%09", b'\t')] {
            assert_eq!(csv(&format!("delimiter={delimiter}")).unwrap().delimiter, byte);
        }
        assert_eq!(csv("delimiter=xx"), Err(BadParameter::Delimiter));
        assert_eq!(csv("append=[1]"), Err(BadParameter::Append));
    }

    #[test]
    fn what_is_no_parameter_is_a_field_of_the_query_string() {
        let uri = "/c/1/s?key=k&access_token=a&dryrun=1&droperrors=1&timestamp_field=t&filename=f&account_id=7&headers=h\
                   &delimiter=t&append=a&_e=view&id=J%C3%B3&id=2";
        let read = Parameters::read(&uri.parse().unwrap(), &HeaderMap::new());
        let fields: Vec<_> = read.fields().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(fields, ["_e=view", "id=J\u{f3}", "id=2"]);
        assert_eq!(read.account_id.as_deref(), Some("7"));
    }

    #[test]
    fn the_token_is_not_in_the_debug_form() {
        let read = Parameters::read(&"/c/1/s?key=very-secret".parse().unwrap(), &HeaderMap::new());
        assert!(!format!("{read:?}").contains("very-secret"));
    }
}
