use std::net::SocketAddr;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::*;

#[derive(Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Demo {
    listen: SocketAddr,
    workers: u16,
    verbose: bool,
    #[serde(with = "humantime_serde")]
    timeout: Duration,
    names: Vec<String>,
    ports: Vec<u16>,
    kafka: Kafka,
    auth: Auth,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Kafka {
    brokers: String,
    topic_prefix: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Auth {
    admin_token: Option<SecretString>,
    pin_token: Option<u16>,
    #[serde(with = "humantime_serde")]
    key: Option<Duration>,
}

impl Default for Demo {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 80)),
            workers: 4,
            verbose: false,
            timeout: Duration::from_secs(1),
            names: Vec::new(),
            ports: Vec::new(),
            kafka: Kafka::default(),
            auth: Auth::default(),
        }
    }
}

impl Validate for Demo {
    fn faults(&self, out: &mut Vec<Fault>) {
        if self.kafka.brokers.is_empty() {
            out.push(Fault::new("kafka.brokers", "must be set, for example localhost:9092"));
        }
        if self.workers == 4 && self.verbose {
            out.push(Fault::new("workers", "four may not be verbose"));
        }
    }
}

fn env(pairs: &[(&str, &str)]) -> Sources {
    Sources::new("DEMO").env(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    )
}

fn file(name: &str, text: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../target")
        .join("tmp");
    std::fs::create_dir_all(&path).unwrap();
    let path = path.join(format!("runtime-config-{name}.toml"));
    std::fs::write(&path, text).unwrap();
    path
}

fn lines(sources: Sources) -> Vec<String> {
    sources
        .load::<Demo>()
        .unwrap_err()
        .to_string()
        .lines()
        .map(str::to_owned)
        .collect()
}

#[test]
fn text_from_the_environment_becomes_what_each_key_wants() {
    let demo: Demo = env(&[
        ("DEMO__LISTEN", "0.0.0.0:0"),
        ("DEMO__WORKERS", "9"),
        ("DEMO__VERBOSE", "true"),
        ("DEMO__TIMEOUT", "250ms"),
        ("DEMO__NAMES", "a, b"),
        ("DEMO__PORTS", "[1, 2]"),
        ("DEMO__KAFKA__BROKERS", "one:9092,two:9092"),
        ("DEMO__KAFKA__TOPIC_PREFIX", "12"),
        ("DEMO__AUTH__ADMIN_TOKEN", "007"),
        ("DEMO_ENDPOINT", "not ours: one underscore"),
    ])
    .load()
    .unwrap();
    assert_eq!((demo.listen.port(), demo.workers, demo.verbose), (0, 9, true));
    assert_eq!(
        (demo.timeout, demo.names, demo.ports),
        (Duration::from_millis(250), vec!["a".into(), "b".into()], vec![1, 2])
    );
    assert_eq!(
        (demo.kafka.brokers.as_str(), demo.kafka.topic_prefix.as_deref()),
        ("one:9092,two:9092", Some("12"))
    );
    assert_eq!(
        demo.auth.admin_token.unwrap().expose_secret(),
        "007",
        "text that looks like a number stays text"
    );
}

#[test]
fn the_environment_beats_the_file_and_an_override_beats_both() {
    let path = file(
        "layers",
        "workers = 1\nverbose = true\n[kafka]\nbrokers = 'file'\ntopic_prefix = 'file'\n",
    );
    let demo: Demo = env(&[("DEMO__KAFKA__BROKERS", "env"), ("DEMO__WORKERS", "2")])
        .file(&path)
        .set("workers", "3")
        .load()
        .unwrap();
    assert_eq!((demo.workers, demo.verbose), (3, true));
    assert_eq!(
        (demo.kafka.brokers.as_str(), demo.kafka.topic_prefix.as_deref()),
        ("env", Some("file"))
    );
}

#[test]
fn all_faults_are_told_at_once_with_the_names_to_set_and_where_the_value_came_from() {
    let path = file("faults", "workers = 'many'\n[kafka]\nbrokres = 'x'\n");
    let found = lines(
        env(&[
            ("DEMO__TIMEOUT", "soon"),
            ("DEMO__LISTEN", "here"),
            ("DEMO__PORTS", "1,x"),
            ("DEMO__KAFKAA__X", "1"),
        ])
        .file(&path),
    );
    let from_file = format!("[from {}]", path.display());
    let expected = [
        "DEMO__KAFKA__BROKERS (kafka.brokers): must be set, for example localhost:9092".to_owned(),
        format!("DEMO__KAFKA__BROKRES (kafka.brokres): unknown key; did you mean DEMO__KAFKA__BROKERS? {from_file}"),
        "DEMO__KAFKAA (kafkaa): unknown key; did you mean DEMO__KAFKA? [from the environment]".to_owned(),
        "DEMO__LISTEN (listen): invalid socket address syntax [from the environment]".to_owned(),
        "DEMO__PORTS (ports): expected a whole number of at least 0 that fits u16, not string \"x\" [from the environment]"
            .to_owned(),
        "DEMO__TIMEOUT (timeout): expected a duration such as \"250ms\" or \"5m\", not string \"soon\" [from the environment]"
            .to_owned(),
        format!(
            "DEMO__WORKERS (workers): expected a whole number of at least 0 that fits u16, not string \"many\" {from_file}"
        ),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_key_that_resembles_nothing_is_told_with_the_known_ones() {
    let found = lines(env(&[("DEMO__KAFKA__SEATS", "1"), ("DEMO__KAFKA__BROKERS", "b")]));
    assert_eq!(
        found,
        ["DEMO__KAFKA__SEATS (kafka.seats): unknown key; known here: brokers, topic_prefix [from the environment]"]
    );
}

#[test]
fn a_faulty_key_is_not_judged_by_its_default_as_well() {
    let found = lines(env(&[
        ("DEMO__WORKERS", "-1"),
        ("DEMO__VERBOSE", "yes"),
        ("DEMO__KAFKA__BROKERS", "b"),
    ]));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("a whole number"), "{found:?}");
}

#[test]
fn the_value_of_a_secret_is_never_echoed() {
    const SECRET: &str = "hunter2";
    let bad = [
        ("DEMO__AUTH__PIN_TOKEN", SECRET),
        ("DEMO__AUTH__KEY", SECRET),
        ("DEMO__AUTH__ADMIN_TOKEN__X", SECRET),
    ];
    let faults = env(&bad).load::<Demo>().unwrap_err();
    let shown = format!("{faults}\n{faults:?}");
    assert!(!shown.contains(SECRET), "{shown}");
    assert_eq!(
        faults.iter().count(),
        4,
        "three bad values and the missing brokers: {shown}"
    );

    let broken = file("secret", &format!("[auth]\nadmin_token = \"{SECRET}\n"));
    let faults = env(&[]).file(&broken).load::<Demo>().unwrap_err().to_string();
    assert!(!faults.contains(SECRET), "{faults}");
    assert!(faults.contains("line 2"), "{faults}");

    let demo: Demo = env(&[("DEMO__AUTH__ADMIN_TOKEN", SECRET), ("DEMO__KAFKA__BROKERS", "b")])
        .load()
        .unwrap();
    assert!(!format!("{demo:?}").contains(SECRET));
}

#[test]
fn a_file_that_is_missing_is_one_fault_beside_the_others() {
    let found = lines(env(&[("DEMO__WORKERS", "x")]).file(Path::new("/nowhere/demo.toml")));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("cannot read /nowhere/demo.toml: "), "{found:?}");
}

#[test]
fn an_empty_variable_counts_as_not_set_and_a_malformed_name_is_a_fault() {
    let found = lines(env(&[("DEMO__WORKERS", ""), ("DEMO__KAFKA____BROKERS", "b")]));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].contains("exactly two underscores"), "{found:?}");
    assert!(found[1].contains("must be set"), "{found:?}");
}
