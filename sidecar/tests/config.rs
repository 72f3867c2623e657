//! Whatever the file and the command line say: settings, or an error that names
//! what is wrong.

use std::{fs, path::Path};

use clap::Parser as _;
use meshd::config::{Cli, Effective};
use proptest::prelude::*;

const KEYS: [&str; 53] = [
    "node",
    "data-dir",
    "router-socket",
    "router-socket-mode",
    "router-socket-group",
    "control-socket",
    "control-socket-mode",
    "control-socket-group",
    "router-tcp",
    "control-tcp",
    "peer-address",
    "tls-cert",
    "tls-key",
    "router-tls-client-ca",
    "control-tls-client-ca",
    "web",
    "web-token-file",
    "metrics-apps",
    "broker-url",
    "broker-password-file",
    "broker-prefix",
    "broker-heartbeat-s",
    "broker-snapshot-every-s",
    "broker-tap-format",
    "broker-tls-ca",
    "broker-tls-cert",
    "broker-tls-key",
    "log-level",
    "log-format",
    "session-grace-ms",
    "longest-request-s",
    "recovery-ms",
    "quarantine-first-ms",
    "quarantine-longest-ms",
    "ping-every-ms",
    "ping-within-ms",
    "auth-threads",
    "authorizers",
    "authorizer-tls-ca",
    "authorizer-within-ms",
    "otlp-endpoint",
    "otlp-sample",
    "otlp-rate",
    "otlp-headers-file",
    "otlp-tls-ca",
    "max-apps",
    "max-dynos",
    "max-dynos-per-app",
    "max-domains-per-app",
    "max-waiting",
    "max-sessions",
    "max-reserved",
    "max-asks-per-session",
];

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS[..])
}

/// Anything, and often something sensible for one key or another.
fn value() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        any::<i64>().prop_map(|number| number.to_string()),
        (0..100_000_u32).prop_map(|number| number.to_string()),
        "0?[0-8]{3}",
        "(debug|info|json|text|root|/run/x\\.sock|127\\.0\\.0\\.1:[0-9]{1,6}|\\[::1\\]:1)",
    ]
}

/// A value as it can stand in a file.
fn written() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => value().prop_map(|text| toml::Value::from(text).to_string()),
        2 => value(),
        1 => Just("[1, {}]".to_owned()),
    ]
}

/// The settings, or the complaint.
fn effective(dir: &Path, file: &str, more: &[String]) -> Result<Effective, String> {
    let path = dir.join("meshd.toml");
    fs::write(&path, file).expect("written");
    let own = ["meshd".to_owned(), format!("--config={}", path.display())];
    let cli = Cli::try_parse_from(own.iter().chain(more)).map_err(|error| error.to_string())?;
    Effective::from_cli(&cli).map_err(|error| error.to_string())
}

/// Places that do not depend on who runs this.
fn places(dir: &Path) -> String {
    let line = |key: &str| format!("{key} = {:?}\n", dir.join(key));
    ["data-dir", "router-socket", "control-socket"]
        .map(line)
        .concat()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn any_file(text in prop_oneof![
        any::<String>(),
        prop::collection::vec((key(), written()), 0..4).prop_map(|lines| {
            lines.iter().map(|(key, value)| format!("{key} = {value}\n")).collect()
        }),
    ]) {
        let dir = tempfile::tempdir().expect("a directory");
        if let Err(complaint) = effective(dir.path(), &text, &[]) {
            // What only a combination shows is said with its keys.
            let named = complaint.contains("meshd.toml")
                || KEYS.iter().any(|key| complaint.contains(key));
            prop_assert!(named, "{} of {:?}", complaint, text);
        }
    }

    #[test]
    fn any_value_in_a_file(key in key(), value in value()) {
        let dir = tempfile::tempdir().expect("a directory");
        let own = places(dir.path());
        let others = own.lines().filter(|line| !line.starts_with(&format!("{key} ")));
        let line = format!("{key} = {}", toml::Value::from(value));
        let file: Vec<&str> = others.chain([&*line]).collect();
        if let Err(complaint) = effective(dir.path(), &file.join("\n"), &[]) {
            prop_assert!(complaint.contains(key), "{} of {}", complaint, line);
        }
    }

    #[test]
    fn any_value_of_a_flag(key in key(), value in value()) {
        let dir = tempfile::tempdir().expect("a directory");
        let flag = format!("--{key}={value}");
        if let Err(complaint) = effective(dir.path(), &places(dir.path()), &[flag]) {
            prop_assert!(complaint.contains(key), "{}", complaint);
        }
    }

    #[test]
    fn any_arguments(arguments in prop::collection::vec(prop_oneof![
        value(),
        key().prop_map(|key| format!("--{key}")),
        (key(), value()).prop_map(|(key, value)| format!("--{key}={value}")),
    ], 0..5)) {
        let dir = tempfile::tempdir().expect("a directory");
        if let Err(complaint) = effective(dir.path(), "", &arguments) {
            prop_assert!(!complaint.is_empty());
        }
    }
}

#[test]
fn a_password_is_never_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let own = places(dir.path());
    let said = |url: &str| {
        let flag = format!("--broker-url={url}");
        let line = format!("{own}broker-url = \"{url}\"\n");
        [
            effective(dir.path(), &own, &[flag]),
            effective(dir.path(), &line, &[]),
        ]
    };
    for wrong in [
        "amqp://mesh:s3cret@host:99999/",
        "http://mesh:s3cret@host/",
        "amqp://mesh:s3cret@/",
        "amqp://mesh:s3cret@host/?heartbeat=1",
        "amqp://mesh:s3cret%zz@host/",
        "mesh:s3cret",
    ] {
        for said in said(wrong) {
            let complaint = said.expect_err(wrong);
            assert!(complaint.contains("broker-url"), "{complaint}");
            assert!(!complaint.contains("s3cret"), "{complaint}");
        }
    }
    for said in said("amqp://mesh:s3cret@host/%2fv") {
        let effective = said.expect("settings");
        let broker = effective.config.broker.as_ref().expect("a broker");
        assert_eq!(broker.password.expose(), "s3cret");
        assert_eq!((&*broker.vhost, broker.port), ("/v", 5672));
        let shown = toml::to_string(&effective.options).expect("shown");
        for shown in [shown, format!("{effective:?}")] {
            assert!(!shown.contains("s3cret"), "{shown}");
        }
    }
    let cut = format!("{own}broker-url = \"amqp://mesh:s3cret@host/\n");
    let complaint = effective(dir.path(), &cut, &[]).expect_err("it is cut off");
    assert!(!complaint.contains("s3cret"), "{complaint}");
}

#[test]
fn the_password_may_be_in_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("password");
    fs::write(&file, "s3cret\n").expect("written");
    let flag = |url: &str| {
        let file = format!("--broker-password-file={}", file.display());
        let flags = [format!("--broker-url={url}"), file];
        effective(dir.path(), &places(dir.path()), &flags)
    };
    let broker = flag("amqps://mesh@[::1]/x")
        .expect("settings")
        .config
        .broker;
    let broker = broker.expect("a broker");
    assert_eq!(broker.password.expose(), "s3cret");
    assert_eq!((&*broker.host, broker.port), ("::1", 5671));
    let twice = flag("amqp://mesh:other@host/").expect_err("two passwords");
    assert!(
        twice.contains("broker-password-file") && !twice.contains("other"),
        "{twice}"
    );
}
