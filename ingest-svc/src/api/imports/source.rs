//! Where the files of a job come from, as a request says it.

use std::collections::HashSet;

use braze::EXPORT_FIELDS;
use control::{ImportSource, SegmentFiles, StorageFiles};
use model::{AccountNumber, name, text};
use proto::imports::v1 as wire;
use regex::RegexBuilder;
use runtime::grpc::status::Violations;

use crate::api::resource::check;

/// Bytes of a key, at most; S3 and GCS allow so many.
const KEY_BYTES_MAX: usize = 1_024;
/// Bytes of a regular expression.
const PATTERN_BYTES_MAX: usize = 1_000;
/// Bytes that a regular expression takes when it is compiled: one such as `\w{999}` takes more.
const PATTERN_SIZE_MAX: usize = 1 << 20;
/// Custom attributes that Braze exports by name.
const CUSTOM_ATTRIBUTES_MAX: usize = 500;

/// The source, or nothing and what is wrong with it.
pub(super) fn parse(
    violations: &mut Violations,
    account: AccountNumber,
    source: Option<wire::ImportSource>,
) -> Option<ImportSource> {
    let source = source.and_then(ImportSource::from_wire);
    match &source {
        None => violations.add("import_job.source", "is needed: storage, or segment_export"),
        Some(ImportSource::Storage(files)) => storage(violations, account, files),
        Some(ImportSource::SegmentExport(files)) => segment(violations, account, files),
        Some(ImportSource::Upload(_)) => {
            violations.add(
                "import_job.source.upload",
                "is made by POST /files/{account}/{stream}; upload the file there",
            );
        }
    }
    source
}

fn storage(violations: &mut Violations, account: AccountNumber, files: &StorageFiles) {
    let of = |field: &str| format!("import_job.source.storage.{field}");
    let named = authorization(account, &files.authorization, name::STORAGE_AUTHORIZATIONS);
    check(violations, &of("authorization"), named);
    check(violations, &of("prefix"), prefix(&files.prefix));
    check(violations, &of("pattern"), pattern(&files.pattern));
}

fn segment(violations: &mut Violations, account: AccountNumber, files: &SegmentFiles) {
    let of = |field: &str| format!("import_job.source.segment_export.{field}");
    let storage = authorization(account, &files.storage_authorization, name::STORAGE_AUTHORIZATIONS);
    check(violations, &of("storage_authorization"), storage);
    let named = authorization(account, &files.authorization, name::AUTHORIZATIONS);
    check(violations, &of("authorization"), named);
    check(violations, &of("segment_id"), segment_id(&files.segment_id));
    let (fields, custom) = (&files.fields, &files.custom_attributes);
    if fields.is_empty() {
        violations.add(
            of("fields"),
            "must name at least one of Braze's fields_to_export, such as external_id",
        );
    }
    let known = |field: &str| EXPORT_FIELDS.contains(&field).then_some(());
    let known =
        |field: &str| known(field).ok_or_else(|| format!("\"{field}\" is none of {}", EXPORT_FIELDS.join(", ")));
    each(violations, &of("fields"), fields, known);
    if custom.len() > CUSTOM_ATTRIBUTES_MAX {
        let problem =
            format!("must have at most {CUSTOM_ATTRIBUTES_MAX} names; custom_attributes in fields is all of them");
        violations.add(of("custom_attributes"), problem);
        return;
    }
    if !custom.is_empty() && fields.iter().any(|field| field == "custom_attributes") {
        violations.add(
            of("custom_attributes"),
            "are all exported, since fields has custom_attributes; leave one of them out",
        );
    }
    let label = |name: &str| text::label(name).map_err(|error| error.to_string());
    each(violations, &of("custom_attributes"), custom, label);
}

/// The name of an authorization in that collection of the account.
fn authorization(account: AccountNumber, given: &str, collection: &'static str) -> Result<(), String> {
    let (owner, _) = name::child(given, collection).map_err(|error| error.to_string())?;
    if owner != account {
        return Err(format!("must be one of accounts/{account}/{collection}"));
    }
    Ok(())
}

fn prefix(prefix: &str) -> Result<(), String> {
    if prefix.len() > KEY_BYTES_MAX || prefix.chars().any(char::is_control) {
        return Err(format!(
            "must have at most {KEY_BYTES_MAX} bytes, and no control characters"
        ));
    }
    // No store gives a key so.
    if prefix.starts_with('/') {
        return Err("must not begin with a /: keys do not".to_owned());
    }
    Ok(())
}

fn pattern(pattern: &str) -> Result<(), String> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return Err(format!("must have at most {PATTERN_BYTES_MAX} bytes"));
    }
    // By itself, so that nothing in it ends the group that it will stand in.
    let compiled = RegexBuilder::new(pattern).size_limit(PATTERN_SIZE_MAX).build();
    match compiled {
        Ok(_) => Ok(()),
        Err(regex::Error::CompiledTooBig(_)) => Err("takes too much memory; repeat less in it".to_owned()),
        Err(error) => {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default();
            Err(format!(
                "is no regular expression: {}",
                last.trim_start_matches("error: ")
            ))
        }
    }
}

fn segment_id(id: &str) -> Result<(), &'static str> {
    if !(1..=text::SHORT_CHARS_MAX).contains(&id.len()) || !id.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("must be the id of a segment, as ListSegments tells it");
    }
    Ok(())
}

/// Notes what is wrong with each of a list, and which are there twice.
fn each(violations: &mut Violations, list: &str, given: &[String], problem: impl Fn(&str) -> Result<(), String>) {
    let mut seen = HashSet::new();
    for (index, one) in given.iter().enumerate() {
        let field = format!("{list}[{index}]");
        check(violations, &field, problem(one));
        if !seen.insert(one) {
            violations.add(field, format!("\"{one}\" is there twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt;

    use super::*;

    fn fields(source: ImportSource) -> Vec<String> {
        let mut violations = Violations::new();
        parse(&mut violations, AccountNumber::new(7).unwrap(), Some(source.to_wire()));
        let Err(refused) = violations.into_result() else {
            return Vec::new();
        };
        let details = refused.get_details_bad_request().unwrap();
        let fields = details.field_violations.into_iter().map(|found| found.field);
        fields
            .map(|field| field.trim_start_matches("import_job.source.").to_owned())
            .collect()
    }

    fn files(pattern: &str) -> StorageFiles {
        StorageFiles {
            authorization: "accounts/7/storageAuthorizations/s".to_owned(),
            prefix: String::new(),
            pattern: pattern.to_owned(),
        }
    }

    fn export(fields: &[&str], custom: &[&str]) -> SegmentFiles {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        SegmentFiles {
            storage_authorization: "accounts/7/storageAuthorizations/s".to_owned(),
            authorization: "accounts/7/authorizations/a".to_owned(),
            segment_id: "0a1b".to_owned(),
            fields: owned(fields),
            custom_attributes: owned(custom),
        }
    }

    #[test]
    fn a_pattern_is_a_regular_expression_of_bounded_size() {
        for good in ["", r"\d{4}-\d\d\.csv(\.gz)?", "a|b"] {
            assert_eq!(fields(ImportSource::Storage(files(good))), [""; 0], "{good}");
        }
        // The third would be one in a group.
        for bad in ["(", "[z-a]", "a)|(b", "((a{99}){99}){99}", &"x".repeat(1_001)] {
            assert_eq!(fields(ImportSource::Storage(files(bad))), ["storage.pattern"], "{bad}");
        }
        assert_eq!(pattern("(").unwrap_err(), "is no regular expression: unclosed group");
    }

    #[test]
    fn an_authorization_is_of_the_same_account_and_of_the_right_kind() {
        for wrong in ["accounts/8/storageAuthorizations/s", "accounts/7/authorizations/s", ""] {
            let authorization = wrong.to_owned();
            let files = StorageFiles {
                authorization,
                ..files("")
            };
            assert_eq!(
                fields(ImportSource::Storage(files)),
                ["storage.authorization"],
                "{wrong}"
            );
        }
        let other = SegmentFiles {
            authorization: "accounts/8/authorizations/a".to_owned(),
            storage_authorization: "accounts/7/authorizations/a".to_owned(),
            ..export(&["email"], &[])
        };
        let told = ["segment_export.storage_authorization", "segment_export.authorization"];
        assert_eq!(fields(ImportSource::SegmentExport(other)), told);
    }

    #[test]
    fn a_prefix_is_the_beginning_of_a_key() {
        for bad in ["/daily", "a\nb", &"x".repeat(1_025)] {
            let files = StorageFiles {
                prefix: bad.to_owned(),
                ..files("")
            };
            assert_eq!(fields(ImportSource::Storage(files)), ["storage.prefix"], "{bad}");
        }
    }

    #[test]
    fn an_export_has_fields_that_braze_knows_each_once() {
        let told = |fields: &[&str], custom: &[&str]| self::fields(ImportSource::SegmentExport(export(fields, custom)));
        assert_eq!(told(&["external_id", "email"], &["tier"]), [""; 0]);
        assert_eq!(told(&[], &[]), ["segment_export.fields"]);
        assert_eq!(
            told(&["email", "emial", "email"], &["", "x", "x"]),
            [
                "segment_export.fields[1]",
                "segment_export.fields[2]",
                "segment_export.custom_attributes[0]",
                "segment_export.custom_attributes[2]"
            ]
        );
        assert_eq!(
            told(&["custom_attributes"], &["tier"]),
            ["segment_export.custom_attributes"]
        );
        let many: Vec<String> = (0..501).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(told(&["email"], &many), ["segment_export.custom_attributes"]);
        assert_eq!(told(&["email"], &many[1..]), [""; 0]);
    }

    #[test]
    fn an_upload_is_not_made_here() {
        let upload = ImportSource::Upload(control::UploadedFile {
            upload: "u".to_owned(),
            file_name: "f".to_owned(),
            size: 1,
        });
        assert_eq!(fields(upload), ["upload"]);
    }
}
