//! The real command line, `meshctl`.

use std::{path::Path, process::Command};

use serde::de::DeserializeOwned;

use super::paths;

/// What a run of `meshctl` came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Outcome {
    /// What it printed, as JSON.
    #[must_use]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no such JSON ({error}): {self:?}"))
    }
}

/// Runs it to its end. The arguments are separated by spaces.
pub(super) fn run(socket: &Path, arguments: &str) -> Outcome {
    let output = Command::new(paths::meshctl())
        .arg("--socket")
        .arg(socket)
        .args(arguments.split_whitespace())
        .output()
        .expect("meshctl can be run");
    Outcome {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
