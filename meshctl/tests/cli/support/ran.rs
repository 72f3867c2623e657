//! Running the command, and what came of it.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

/// A finished command.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// The command failed with one line for a person, which says this.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, saying: &str) {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.err.lines().last().unwrap_or_default();
        assert!(line.starts_with("meshctl: "), "{self:?}");
        assert!(line.contains(saying), "{saying:?} is not in {self:?}");
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The command, free of what the environment says.
pub(crate) fn meshctl(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_meshctl"));
    for name in [
        "DYNOMESH_TLS_CA",
        "DYNOMESH_TLS_CERT",
        "DYNOMESH_TLS_KEY",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command.env("DYNOMESH_CONTROL_SOCKET", socket);
    command
}

pub(crate) fn run(mut command: Command, input: &str) -> Ran {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the command");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // Beside, because the command may answer before it has read all.
    let feed = std::thread::spawn(move || {
        // It need not read it at all.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("an end");
    feed.join().expect("the input");
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).expect("text"),
        err: String::from_utf8(output.stderr).expect("text"),
    }
}
