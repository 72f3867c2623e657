//! `meshctl apply` and `meshctl export`.

use std::fs;

use crate::support::{Ran, Sidecar};

fn create(name: &str) -> String {
    format!("{{\"app\":\"{name}\",\"operations\":[{{\"createApp\":{{}}}}]}}\n")
}

fn names(sidecar: &Sidecar) -> Vec<String> {
    sidecar
        .mesh
        .contents()
        .into_iter()
        .map(|app| app.name)
        .collect()
}

/// `meshctl apply -f` with a file of this text.
fn apply_file(sidecar: &Sidecar, text: &str) -> Ran {
    let file = sidecar.dir.path().join("changes.jsonl");
    fs::write(&file, text).expect("a file");
    sidecar.run(&format!("apply -f {}", file.display()))
}

#[test]
fn what_was_exported_is_the_same_when_applied() {
    let from = Sidecar::start();
    from.ok(
        "app create shop --domain a.example --domain *.b.example --dyno unix:/1 --dyno 127.0.0.1:2 \
         --policy idle-only --queue-depth 3 --boot-timeout 9s --queue-headers",
    );
    from.ok("dyno state shop web.2 draining");
    from.ok("maintenance on shop");
    from.ok("app create asleep --dyno unix:/3 --wake");
    from.ok("dyno remove asleep web.1");
    from.ok("app create crashed --dyno unix:/4");
    from.ok("dyno state crashed web.1 crashed");
    from.ok("app create never");
    let lines = from.ok("export");
    assert_eq!(lines.lines().count(), 4);

    let to = Sidecar::start();
    let ran = to.run_with("apply", &lines);
    assert_eq!((ran.code, &*ran.out), (0, "4 changes applied\n"), "{ran:?}");
    assert_eq!(to.mesh.contents(), from.mesh.contents());
    assert_eq!(to.ok("export"), lines);
    assert_eq!(from.ok("export --prefix s").lines().count(), 1);
}

#[test]
fn a_wrong_file_changes_nothing() {
    let sidecar = Sidecar::start();
    let text = create("one") + "{\"app\":\"two\",\"operations\":[{\"createAp\":{}}]}\n" + "{\n";
    let ran = apply_file(&sidecar, &text);
    ran.fails(2, "2 wrong lines in ");
    assert!(
        ran.err
            .contains("line 2, column 38: unknown field `createAp`"),
        "{ran:?}"
    );
    assert!(ran.err.contains("line 3, column "), "{ran:?}");
    assert!(ran.err.ends_with("nothing was sent\n"), "{ran:?}");
    assert!(names(&sidecar).is_empty());
    sidecar
        .run("apply -f /nowhere/at-all")
        .fails(2, "cannot read /nowhere/at-all");
    sidecar
        .run("apply -f /")
        .fails(2, "cannot read /: is a directory");
}

#[test]
fn a_file_on_standard_input_is_checked_first_as_well() {
    let sidecar = Sidecar::start();
    let path = sidecar.dir.path().join("changes.jsonl");
    fs::write(&path, create("one") + "nonsense\n").expect("a file");
    let mut command = crate::support::meshctl(&sidecar.socket());
    command
        .arg("apply")
        .stdin(fs::File::open(&path).expect("the file"));
    let output = command.output().expect("an end");
    assert_eq!(output.status.code(), Some(2));
    assert!(names(&sidecar).is_empty());
}

#[test]
fn a_refused_change_does_not_stop_the_others() {
    let sidecar = Sidecar::start();
    let text = create("one") + "\n" + &create("one") + &create("two");
    let ran = apply_file(&sidecar, &text);
    ran.fails(
        1,
        "1 of 3 changes not made (1 refused, 0 not valid); the other 2 are applied",
    );
    assert!(
        ran.err
            .starts_with("line 3: one: already exists: app one\n"),
        "{ran:?}"
    );
    assert_eq!(names(&sidecar), ["one", "two"]);
}

#[test]
fn a_wrong_line_of_a_pipe_does_not_stop_the_others() {
    let sidecar = Sidecar::start();
    let text = create("one") + "nonsense\n" + &create("two");
    let ran = sidecar.run_with("apply --json", &text);
    ran.fails(
        1,
        "1 of 3 changes not made (0 refused, 1 not valid); the other 2 are applied",
    );
    assert!(ran.err.starts_with("line 2, column "), "{ran:?}");
    assert_eq!(names(&sidecar), ["one", "two"]);
    let results = ran.json();
    assert_eq!(results.as_array().map(Vec::len), Some(3));
}

#[test]
fn many_changes_go_through_a_window() {
    let sidecar = Sidecar::start();
    sidecar.mesh.faults.lock().greedy = true;
    let text: String = (0..1_000).map(|n| create(&format!("app-{n}"))).collect();
    let ran = sidecar.run_with("apply", &text);
    assert_eq!(
        (ran.code, &*ran.out),
        (0, "1000 changes applied\n"),
        "{ran:?}"
    );
    assert_eq!(names(&sidecar).len(), 1_000);
    assert_eq!(sidecar.mesh.faults.lock().most_unanswered, 256);
}

#[test]
fn changes_go_on_when_nobody_reads_the_results() {
    use std::process::Stdio;
    let sidecar = Sidecar::start();
    let path = sidecar.dir.path().join("changes.jsonl");
    let text: String = (0..5_000).map(|n| create(&format!("app-{n}"))).collect();
    fs::write(&path, text).expect("a file");
    let mut command = crate::support::meshctl(&sidecar.socket());
    command
        .args(["apply", "--json", "-f"])
        .arg(&path)
        .stdout(Stdio::piped());
    let mut child = command.spawn().expect("the command");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("an end").code(), Some(0));
    assert_eq!(names(&sidecar).len(), 5_000);
}

#[test]
fn a_stream_that_breaks_says_what_is_not_known() {
    let sidecar = Sidecar::start();
    sidecar.mesh.faults.lock().ends_after = Some(3);
    let text: String = (0..10).map(|n| create(&format!("app-{n}"))).collect();
    let ran = sidecar.run_with("apply", &text);
    ran.fails(4, "3 changes applied, 0 refused; those of lines 4 to ");
    assert_eq!(names(&sidecar).len(), 3);
}

#[test]
fn a_sidecar_that_does_not_answer_is_not_waited_for_forever() {
    let sidecar = Sidecar::start();
    sidecar.mesh.faults.lock().silent = true;
    let ran = sidecar.run_with("apply --timeout 300ms", &create("one"));
    ran.fails(4, "no answer from the sidecar within 300ms");
}

#[test]
fn nothing_to_apply_is_fine() {
    let sidecar = Sidecar::start();
    assert_eq!(sidecar.run_with("apply", "\n\n").out, "0 changes applied\n");
    assert_eq!(
        sidecar.run_with("apply --json", "").json(),
        serde_json::json!([])
    );
}
