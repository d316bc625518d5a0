//! What is in the files of an export.

use std::io::{Cursor, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde_json::Value;
use zip::ZipArchive;

/// The users of a `.gz`, or of a `.zip` with the names of its entries.
pub(crate) fn users(bytes: &[u8]) -> (Vec<String>, Vec<Value>) {
    if bytes.starts_with(&[0x1F, 0x8B]) {
        let mut text = String::new();
        GzDecoder::new(bytes).read_to_string(&mut text).unwrap();
        return (Vec::new(), lines(&text));
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).unwrap();
    let (mut names, mut users) = (Vec::new(), Vec::new());
    for at in 0..zip.len() {
        let mut entry = zip.by_index(at).unwrap();
        names.push(entry.name().unwrap().into_owned());
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        users.extend(lines(&text));
    }
    (names, users)
}

/// The external ids in the files with these keys in a folder, by file.
pub(crate) fn external_ids(folder: &Path, keys: &[String]) -> Vec<Vec<String>> {
    let ids = |key: &String| {
        let (_, users) = users(&std::fs::read(folder.join(key)).unwrap());
        let ids = users
            .iter()
            .map(|user| user["external_id"].as_str().unwrap().to_owned());
        ids.collect()
    };
    keys.iter().map(ids).collect()
}

fn lines(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
