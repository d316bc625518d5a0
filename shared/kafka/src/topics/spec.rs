//! The declarations of `deploy/kafka/topics.yaml`.

use std::sync::LazyLock;

use yaml_rust2::{Yaml, YamlLoader};

const YAML: &str = include_str!("../../../../deploy/kafka/topics.yaml");
const ACCOUNT: &str = "<account>";

/// A topic as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    /// Name without prefix.
    pub(crate) name: String,
    pub(crate) partitions: i32,
    /// Kafka's topic settings.
    pub(crate) config: Vec<(String, String)>,
}

/// All topics, with one membership topic for each of `accounts`.
pub(crate) fn declared(accounts: &[u64]) -> Vec<Spec> {
    static SPECS: LazyLock<Vec<Spec>> =
        LazyLock::new(|| parse(YAML).expect("the embedded topics.yaml is read by a test of this module"));
    let (per_account, single): (Vec<_>, Vec<_>) = SPECS.iter().cloned().partition(|spec| spec.name.contains(ACCOUNT));
    let of_accounts = accounts.iter().flat_map(|account| {
        per_account.iter().map(|spec| Spec {
            name: spec.name.replace(ACCOUNT, &account.to_string()),
            ..spec.clone()
        })
    });
    single.into_iter().chain(of_accounts).collect()
}

/// `None` if the text is not a list of topics with exactly the keys described at its top.
fn parse(text: &str) -> Option<Vec<Spec>> {
    let documents = YamlLoader::load_from_str(text).ok()?;
    let [document] = documents.as_slice() else { return None };
    document["topics"].as_vec()?.iter().map(parse_topic).collect()
}

fn parse_topic(topic: &Yaml) -> Option<Spec> {
    let config = topic["config"].as_hash()?.iter();
    let spec = Spec {
        name: topic["name"].as_str()?.to_owned(),
        partitions: topic["partitions"]
            .as_i64()
            .and_then(|count| i32::try_from(count).ok())?,
        config: config
            .map(|(key, value)| Some((key.as_str()?.to_owned(), scalar(value)?)))
            .collect::<Option<_>>()?,
    };
    (topic.as_hash()?.len() == 3).then_some(spec)
}

fn scalar(value: &Yaml) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_i64().map(|number| number.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(name: &str, key: &str) -> Option<String> {
        let spec = declared(&[7]).into_iter().find(|spec| spec.name == name)?;
        spec.config
            .into_iter()
            .find(|(found, _)| found == key)
            .map(|(_, value)| value)
    }

    #[test]
    fn the_embedded_file_is_read() {
        assert!(parse(YAML).is_some_and(|specs| specs.iter().all(|spec| spec.partitions > 0)));
    }

    #[test]
    fn the_membership_topic_is_declared_as_we_require_it() {
        assert_eq!(
            config_of("audience-membership.7", "cleanup.policy").as_deref(),
            Some("compact")
        );
        assert_eq!(
            config_of("audience-membership.7", "min.compaction.lag.ms").as_deref(),
            Some("604800000")
        );
    }

    #[test]
    fn a_rejected_body_of_ten_megabytes_has_room() {
        let bytes: usize = config_of("profile-events.rejected", "max.message.bytes")
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(bytes, crate::client::RECORD_BYTES_MAX);
        assert!(bytes > 10 * 1024 * 1024);
    }

    #[test]
    fn the_tables_are_read_quickly_at_start() {
        for name in ["control", "export-progress", "import-progress"] {
            assert_eq!(config_of(name, "cleanup.policy").as_deref(), Some("compact"));
            assert_eq!(config_of(name, "segment.bytes").as_deref(), Some("16777216"));
            assert_eq!(config_of(name, "segment.ms").as_deref(), Some("600000"));
            assert_eq!(config_of(name, "max.compaction.lag.ms").as_deref(), Some("3600000"));
        }
        assert_eq!(
            declared(&[])
                .iter()
                .find(|spec| spec.name == "control")
                .map(|spec| spec.partitions),
            Some(1)
        );
    }

    #[test]
    fn a_key_that_means_nothing_is_refused() {
        let topic = "topics: [{name: a, partitions: 1, config: {}}]";
        assert_eq!(parse(topic).map(|specs| specs.len()), Some(1));
        assert_eq!(parse(&topic.replace("config: {}", "config: {}, replicas: 3")), None);
        assert_eq!(parse(&topic.replace("partitions: 1", "partitions: many")), None);
    }
}
