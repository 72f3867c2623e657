//! `meshctl watch`.

use std::{
    io::{BufRead as _, BufReader},
    process::{Child, ChildStdout, Stdio},
};

use crate::support::{Sidecar, meshctl, run};

/// A watch that has begun.
struct Watch {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Watch {
    fn begin(sidecar: &Sidecar, words: &[&str]) -> Self {
        let mut command = meshctl(&sidecar.socket());
        command.arg("watch").args(words);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the command");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        sidecar
            .mesh
            .faults
            .until("someone watches", |f| f.watches > 0);
        Self { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child
            .kill()
            .and_then(|()| self.child.wait())
            .expect("an end");
    }
}

#[test]
fn changes_are_seen_as_they_happen() {
    let sidecar = Sidecar::start();
    let mut watch = Watch::begin(&sidecar, &[]);
    sidecar.ok("app create shop --domain a.example");
    let line = watch.line();
    let (time, what) = line.trim_end().split_once(' ').unwrap_or_default();
    assert!(time.ends_with('Z') && time.contains('T'), "{line}");
    assert_eq!(
        what,
        "shop: created with policy default, domain a.example added"
    );
}

#[test]
fn one_app_can_be_watched_as_json() {
    let sidecar = Sidecar::start();
    sidecar.ok("app create shop");
    let mut watch = Watch::begin(&sidecar, &["shop", "--json"]);
    sidecar.ok("app create blog");
    sidecar.ok("maintenance on shop");
    let event: serde_json::Value = serde_json::from_str(&watch.line()).expect("JSON");
    assert_eq!(event["changed"]["app"], "shop");
    assert_eq!(event["changed"]["operations"][0]["setMaintenance"], true);
}

#[test]
fn the_end_of_the_sidecar_is_the_end_of_the_watch() {
    let sidecar = Sidecar::start();
    let mut watch = Watch::begin(&sidecar, &[]);
    drop(sidecar);
    assert_eq!(watch.line(), "");
    assert_eq!(watch.child.wait().expect("an end").code(), Some(4));
}

#[test]
fn a_tap_prints_what_it_is_asked_for() {
    let sidecar = Sidecar::start();
    let tap = |words: &str| {
        let mut command = meshctl(&sidecar.socket());
        command.arg("tap").args(words.split_whitespace());
        run(command, "")
    };
    // The service here sends back what it is asked for, and ends.
    let ran = tap("shop --sample 0.25 --status 5xx --code H12 --slow 40ms");
    ran.fails(4, "ended the tap");
    let line = ran.out.trim_end();
    for words in [" 5 ", "H12", "(250000 tries)", "total 40ms"] {
        assert!(line.contains(words), "no {words} in {ran:?}");
    }
    assert!(ran.err.contains("3 requests were left out"), "{ran:?}");
    let ran = tap("shop --json");
    let kinds: Vec<_> = ran.out.lines().collect();
    assert_eq!(kinds.len(), 3, "{ran:?}");
    assert!(kinds[1].contains("\"request\""), "{ran:?}");
    tap("nobody").fails(1, "no such app");
}
