//! Which process a worker is.

use std::fs;

/// A process, told apart from a later one with the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerProcess {
    /// 0: not known here, because it is on another host or in another
    /// container.
    pub pid: u32,
    /// When it started, as the kernel counts it.
    pub started: u64,
}

impl WorkerProcess {
    /// One of which nothing is known.
    pub const UNKNOWN: Self = Self { pid: 0, started: 0 };

    /// The process of that number, if it can be seen from here.
    pub fn of(pid: u32) -> Self {
        started(pid).map_or(Self::UNKNOWN, |started| Self { pid, started })
    }

    /// It may still come: it is alive, or nobody can tell.
    pub fn may_live(&self) -> bool {
        self.pid == 0 || started(self.pid) == Some(self.started)
    }
}

/// When a process started, in clock ticks since the machine did; `None` for one
/// that has ended, even if its parent has not noticed yet.
fn started(pid: u32) -> Option<u64> {
    // proc(5): the command is in parentheses and may contain anything; after it
    // come the state, field 3, and the start time, field 22.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!matches!(state, "Z" | "X" | "x")).then_some(started)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_lives_until_it_ends() {
        let mut child = Command::new("sleep").arg("60").spawn().expect("sleep");
        let process = WorkerProcess::of(child.id());
        assert_eq!(process.pid, child.id());
        assert!(process.may_live());
        let other = WorkerProcess {
            started: process.started + 1,
            ..process
        };
        assert!(!other.may_live(), "another process had the number");
        child.kill().expect("kill");
        // A zombie until it is waited for: nothing that it held is held any more.
        while process.may_live() {
            std::thread::yield_now();
        }
        child.wait().expect("wait");
        assert!(!process.may_live());
        assert!(WorkerProcess::UNKNOWN.may_live());
    }
}
