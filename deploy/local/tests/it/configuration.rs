//! The example configurations are complete, and are the defaults.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn example(service: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{service}.toml"))
}

#[test]
fn the_example_of_ingest_svc_is_its_default() {
    let none = std::iter::empty();
    let loaded = runtime::config::load::<ingest_svc::config::Config>("INGEST_SVC", Some(&example("ingest-svc")), none);
    let loaded = loaded.expect("no faults");
    assert_eq!(
        format!("{loaded:#?}"),
        format!("{:#?}", ingest_svc::config::Config::default())
    );
}

#[test]
fn the_example_of_export_svc_is_its_default_but_for_the_keys() {
    let key = "k1:bG9jYWwgc3RhY2sgb25seSwgbm90IGEgc2VjcmV0IQo=";
    let environment = std::iter::once(("EXPORT_SVC__SECRETS__KEYS".to_owned(), key.to_owned()));
    let loaded =
        runtime::config::load::<export_svc::config::Config>("EXPORT_SVC", Some(&example("export-svc")), environment);
    let loaded = loaded.expect("no faults");
    assert_eq!(
        format!("{loaded:#?}"),
        format!("{:#?}", export_svc::config::Config::default())
    );
}

#[test]
fn the_examples_name_every_key() {
    for (service, config) in [
        ("ingest-svc", format!("{:#?}", ingest_svc::config::Config::default())),
        ("export-svc", format!("{:#?}", export_svc::config::Config::default())),
    ] {
        let text = std::fs::read_to_string(example(service)).expect("the file");
        let lines = text
            .lines()
            .map(|line| line.trim_start_matches("# ").trim_matches(['[', ']']));
        let named: BTreeSet<_> = lines.map(|line| line.split(" =").next().unwrap_or_default()).collect();
        let keys = config
            .lines()
            .filter_map(|line| line.trim().split_once(": "))
            .map(|(key, _)| key);
        for key in keys.filter(|key| *key != "security") {
            assert!(named.contains(key), "{service}: {key} is not in the example");
        }
    }
}
