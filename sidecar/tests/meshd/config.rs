//! Settings: where they come from, and what is said about wrong ones.

use std::{fs, path::Path};

use crate::harness::Options;

/// `--print-config` with a file and more flags, as TOML.
fn printed(dir: &Path, file: &str, env: &[(&str, &str)], more: &[&str]) -> toml::Table {
    let output = with_file(dir, file, env, &[more, &["--print-config"]].concat()).output();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    toml::from_str(&String::from_utf8_lossy(&output.stdout)).expect("TOML")
}

fn with_file(dir: &Path, file: &str, env: &[(&str, &str)], more: &[&str]) -> Options {
    let path = dir.join("meshd.toml");
    fs::write(&path, file).expect("written");
    let path = path.display().to_string();
    let mut options = Options::new(dir, &[&["--config", &path], more].concat());
    options.env = env
        .iter()
        .map(|(key, value)| ((*key).into(), (*value).into()))
        .collect();
    options
}

#[test]
fn the_command_line_beats_the_environment_beats_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = "node = 'file'\nrecovery-ms = 1\nsession-grace-ms = 1\nmax-apps = 1\n";
    let env = [
        ("DYNOMESH_RECOVERY_MS", "2"),
        ("DYNOMESH_SESSION_GRACE_MS", "2"),
    ];
    let found = printed(dir.path(), file, &env, &["--session-grace-ms", "3"]);
    let number = |key: &str| found[key].as_integer();
    assert_eq!(found["node"].as_str(), Some("file"));
    assert_eq!(number("max-apps"), Some(1));
    assert_eq!(number("recovery-ms"), Some(2));
    assert_eq!(number("session-grace-ms"), Some(3));
    assert_eq!(number("quarantine-first-ms"), Some(500), "the default");
    assert_eq!(found["router-socket-mode"].as_str(), Some("0660"));
}

#[test]
fn what_is_printed_can_be_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = printed(
        dir.path(),
        "max-sessions = 7\nlog-format = 'json'\n",
        &[],
        &["--router-socket-mode", "600"],
    );
    let text = toml::to_string(&first).expect("TOML");
    let again = printed(dir.path(), &text, &[], &[]);
    assert_eq!(first, again);
}

#[test]
fn a_wrong_file_is_shown_with_file_key_and_what_is_allowed() {
    let dir = tempfile::tempdir().expect("a directory");
    for (file, words) in [
        (
            "no-such-key = 1",
            &["meshd.toml", "no-such-key", "router-socket"][..],
        ),
        ("max-apps = 'many'", &["meshd.toml", "max-apps"]),
        ("max-apps = -1", &["meshd.toml", "max-apps"]),
        (
            "web = '0.0.0.0:9280'",
            &["meshd.toml: web", "set web-token-file"],
        ),
        (
            "web-token-file = '/dev/null'",
            &["meshd.toml: web-token-file", "no use without web"],
        ),
        (
            "web = '[::1]:9280'\nweb-token-file = '/dev/null'",
            &["meshd.toml: web-token-file", "16 to 4096"],
        ),
        ("max-apps = 0", &["meshd.toml: max-apps", "1 to 10000000"]),
        (
            "session-grace-ms = 60001",
            &["meshd.toml: session-grace-ms", "0 to 60000"],
        ),
        (
            "router-socket-mode = 660",
            &["meshd.toml", "router-socket-mode"],
        ),
        (
            "router-socket-mode = '0999'",
            &["meshd.toml", "router-socket-mode", "octal"],
        ),
        (
            "router-socket-group = 'no-such-group'",
            &["meshd.toml: router-socket-group", "no-such-group"],
        ),
        ("log-level = 'loud'", &["meshd.toml", "log-level", "debug"]),
        ("control-tcp = 'everywhere'", &["meshd.toml", "control-tcp"]),
        (
            "quarantine-longest-ms = 1",
            &["meshd.toml: quarantine-longest-ms", "quarantine-first-ms"],
        ),
        ("node = ''", &["meshd.toml: node"]),
        ("this is no toml", &["meshd.toml", "line 1"]),
    ] {
        let complaint = with_file(dir.path(), file, &[], &["--check"]).complaint();
        for word in words {
            assert!(
                complaint.contains(word),
                "{file}: {complaint} does not say {word}"
            );
        }
    }
}

#[test]
fn a_wrong_flag_or_variable_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    let complaint = |env: &[(&str, &str)], more: &[&str]| {
        with_file(
            dir.path(),
            "max-apps = 5",
            env,
            &[more, &["--check"]].concat(),
        )
        .complaint()
    };
    let text = complaint(&[], &["--max-apps", "0"]);
    assert!(
        text.contains("--max-apps") && text.contains("1 to 10000000"),
        "{text}"
    );
    let text = complaint(&[("DYNOMESH_MAX_APPS", "0")], &[]);
    assert!(text.contains("DYNOMESH_MAX_APPS"), "{text}");
    let text = complaint(&[("DYNOMESH_MAX_APPS", "many")], &[]);
    assert!(text.contains("max-apps") && text.contains("many"), "{text}");
    let text = complaint(&[], &["--router-socket-mode", "rw"]);
    assert!(
        text.contains("--router-socket-mode") && text.contains("octal"),
        "{text}"
    );
    let text = complaint(&[], &["--log-level", "loud"]);
    assert!(
        text.contains("--log-level") && text.contains("debug"),
        "{text}"
    );
}

#[test]
fn a_file_that_is_asked_for_has_to_be_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let complaint = Options::new(dir.path(), &["--config", "/nowhere/meshd.toml"]).complaint();
    assert!(complaint.contains("/nowhere/meshd.toml"), "{complaint}");
}

#[test]
fn both_services_need_a_socket_each() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut options = Options::new(dir.path(), &["--check"]);
    options.args[5] = options.args[3].clone();
    let complaint = options.complaint();
    assert!(complaint.contains("control-socket"), "{complaint}");
}

#[test]
fn a_check_starts_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = Options::new(dir.path(), &["--check"]).output();
    assert!(output.status.success());
    assert_eq!(fs::read_dir(dir.path()).expect("a directory").count(), 0);
}

#[test]
fn the_shipped_file_is_right_and_the_shipped_unit_knows_when_it_is_wrong() {
    let dir = tempfile::tempdir().expect("a directory");
    let shipped = include_str!("../../../packaging/meshd.toml");
    // The group is Debian's.
    let shipped = shipped.replace("www-data", "root");
    let found = printed(dir.path(), &shipped, &[], &[]);
    assert_eq!(found["router-socket-group"].as_str(), Some("root"));

    let wrong = with_file(dir.path(), "no-such-key = 1", &[], &[]).output();
    let code = wrong.status.code().expect("a code");
    let unit = include_str!("../../../packaging/meshd.service");
    let line = format!("\nRestartPreventExitStatus={code}\n");
    assert!(unit.contains(&line), "{code} is not in the unit");
}
