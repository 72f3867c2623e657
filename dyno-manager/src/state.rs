//! Which processes run, in a file: for the manager that comes after one that was
//! killed.
//!
//! A process is known again by its id and the time of its start, and what it has
//! started by the instance in its environment: ids are used again.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File},
    io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::{
    fs::{FlockOperation, flock},
    process::Signal,
};

use crate::process;

/// How long the processes of an earlier manager may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// The file, which is this manager's alone.
#[derive(Debug)]
pub(crate) struct State {
    path: PathBuf,
    /// Instances by the process that leads each.
    running: Mutex<BTreeMap<u32, (u64, String)>>,
    /// Locked while this manager is there.
    _lock: File,
}

impl State {
    /// Takes the directory over and ends what an earlier manager has left.
    pub(crate) fn open(dir: &Path) -> anyhow::Result<Self> {
        let shown = dir.display();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("cannot make the directory {shown}; see --state-dir"))?;
        let lock = File::create(dir.join("lock"));
        let lock = lock.with_context(|| format!("cannot write to {shown}; see --state-dir"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive).with_context(|| {
            format!("{shown} is used by another manager: stop it, or choose another --state-dir")
        })?;
        let path = dir.join("processes");
        end_leftovers(&path);
        let state = Self {
            path,
            running: Mutex::default(),
            _lock: lock,
        };
        state.write(&state.running())?;
        Ok(state)
    }

    /// A process was started.
    pub(crate) fn add(&self, pid: u32, instance: &str) {
        let started = Seen::of(pid).map_or(0, |seen| seen.started);
        let mut running = self.running();
        running.insert(pid, (started, instance.to_owned()));
        self.save(&running);
    }

    /// A process has ended.
    pub(crate) fn remove(&self, pid: u32) {
        let mut running = self.running();
        running.remove(&pid);
        self.save(&running);
    }

    /// Ends all that are left, at once.
    pub(crate) fn kill_all(&self) {
        for pid in self.running().keys() {
            process::signal(*pid, Signal::KILL);
        }
    }

    fn running(&self) -> MutexGuard<'_, BTreeMap<u32, (u64, String)>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn save(&self, running: &BTreeMap<u32, (u64, String)>) {
        if let Err(error) = self.write(running) {
            tracing::warn!("cannot write which processes run: {error:#}");
        }
    }

    /// By rename: nobody ever reads half of it.
    fn write(&self, running: &BTreeMap<u32, (u64, String)>) -> anyhow::Result<()> {
        let line = |(pid, (started, instance)): (&u32, &(u64, String))| {
            format!("{pid} {started} {instance}\n")
        };
        let text: String = running.iter().map(line).collect();
        let new = self.path.with_extension("new");
        fs::write(&new, text).with_context(|| format!("cannot write {}", new.display()))?;
        fs::rename(&new, &self.path)
            .with_context(|| format!("cannot write {}", self.path.display()))
    }
}

/// A process as the kernel shows it.
struct Seen {
    group: u32,
    started: u64,
}

impl Seen {
    fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is a name in parentheses, which may have any of its own.
    fn parse(stat: &str) -> Option<Self> {
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        // What has ended and was not waited for is nobody.
        if fields.first() == Some(&"Z") {
            return None;
        }
        Some(Self {
            group: fields.get(2)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }
}

fn end_leftovers(path: &Path) {
    let text = fs::read_to_string(path).unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let (pid, started) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        Some((pid, started, words.next()?.to_owned()))
    };
    let entries: Vec<(u32, u64, String)> = text.lines().filter_map(entry).collect();
    let since = Instant::now();
    let mut ended = 0;
    while since.elapsed() < GONE_WITHIN {
        let left = find(&entries);
        if left.is_empty() {
            break;
        }
        ended = ended.max(left.len());
        left.iter()
            .for_each(|group| process::signal(*group, Signal::KILL));
        std::thread::sleep(Duration::from_millis(10));
    }
    if !entries.is_empty() {
        tracing::warn!(
            groups = entries.len(),
            ended,
            "the manager before this one was killed; what it ran is ended"
        );
    }
}

/// Groups of these processes that are there still.
fn find(entries: &[(u32, u64, String)]) -> Vec<u32> {
    let mut found = Vec::new();
    for pid in pids().unwrap_or_default() {
        let Some(seen) = Seen::of(pid) else { continue };
        let ours = entries.iter().any(|(leader, started, instance)| {
            let same = pid == *leader && seen.started == *started;
            seen.group == *leader && (same || has_instance(pid, instance))
        });
        if ours && !found.contains(&seen.group) {
            found.push(seen.group);
        }
    }
    found
}

fn pids() -> io::Result<Vec<u32>> {
    let names = fs::read_dir("/proc")?
        .flatten()
        .map(|entry| entry.file_name());
    Ok(names
        .filter_map(|name| name.to_str()?.parse().ok())
        .collect())
}

fn has_instance(pid: u32, instance: &str) -> bool {
    let wanted = format!("{}={instance}", process::INSTANCE);
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|line| line == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{os::unix::process::CommandExt as _, process::Command};

    use super::*;

    #[test]
    fn any_name_of_a_process_is_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let seen = Seen::parse(stat).unwrap();
        assert_eq!((seen.group, seen.started), (7, 4242));
        assert!(Seen::parse("7 (x) Z 1 7 7").is_none());
        assert!(Seen::parse("").is_none());
    }

    #[test]
    fn what_an_earlier_manager_left_is_ended_and_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let start = |instance: &str| {
            let mut command = Command::new("sleep");
            command
                .arg("60")
                .env(process::INSTANCE, instance)
                .process_group(0);
            command.spawn().unwrap()
        };
        let (mut ours, mut other) = (start("dm-1"), start("dm-2"));
        let state = State::open(dir.path()).unwrap();
        state.add(ours.id(), "dm-1");
        // Its id was used again: neither time nor instance are those of the entry.
        let mut running = state.running();
        running.insert(other.id(), (1, "dm-3".into()));
        state.save(&running);
        drop(running);
        assert!(State::open(dir.path()).is_err(), "it is in use");
        drop(state);
        let waited = std::thread::spawn(move || ours.wait().unwrap());
        State::open(dir.path()).unwrap();
        assert!(!waited.join().unwrap().success());
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
