//! Processes that do not outlive this one unnoticed: each leads a group of its
//! own, and is killed when this process dies. Who is left of its group then is
//! found by the next manager (see [`crate::state`]).

use std::{io, process::Stdio};

use rustix::process::{
    Pid, Signal, getpid, getppid, kill_process_group, set_parent_process_death_signal,
};
use tokio::process::{Child, Command};

use crate::config::AppConfig;

/// What a process finds in its environment beside its port: which start it is.
pub(crate) const INSTANCE: &str = "DYNO_INSTANCE";

/// Starts one. Must be called on the main thread: Linux takes the end of the
/// *thread* that started a process for the end of its parent.
pub(crate) fn start(app: &AppConfig, name: &str, instance: &str, port: u16) -> io::Result<Child> {
    let port = port.to_string();
    let mut words = app.command.iter().map(|word| with_port(word, &port));
    let mut command = Command::new(words.next().unwrap_or_default());
    command
        .args(words)
        .envs(&app.env)
        .env("PORT", &port)
        .env("DYNO", name)
        .env(INSTANCE, instance)
        .stdin(Stdio::null())
        .process_group(0);
    if let Some(dir) = &app.dir {
        command.current_dir(dir);
    }
    let parent = getpid();
    // SAFETY: between fork and exec the closure makes two system calls, and neither
    // allocates nor takes a lock.
    unsafe {
        command.pre_exec(move || {
            set_parent_process_death_signal(Some(Signal::KILL))?;
            // It died in between.
            match getppid() == Some(parent) {
                true => Ok(()),
                false => Err(io::ErrorKind::BrokenPipe.into()),
            }
        });
    }
    command.spawn()
}

fn with_port(word: &str, port: &str) -> String {
    word.replace("${PORT}", port).replace("$PORT", port)
}

/// Sends a signal to a process and all that it started. One that is gone is no
/// error.
pub(crate) fn signal(leader: u32, signal: Signal) {
    if let Some(group) = i32::try_from(leader).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_put_where_it_is_named() {
        for (word, want) in [
            ("$PORT", "5001"),
            ("--bind=127.0.0.1:${PORT}", "--bind=127.0.0.1:5001"),
            ("port", "port"),
        ] {
            assert_eq!(with_port(word, "5001"), want);
        }
    }
}
