//! What a process has used, by the kernel's books.

use std::{fs, io, time::Duration};

use super::Failure;

/// Processor time of a process so far: of each of its threads, which live as long
/// as it does in every program that is measured. To the nanosecond, where
/// `/proc/PID/stat` has hundredths of a second.
pub(super) fn spent(pid: u32) -> Result<Duration, Failure> {
    let mut sum = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split_whitespace().next();
        sum += first.ok_or("nothing in schedstat")?.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(sum))
}

/// What a process has in memory, in MiB.
pub(super) fn resident(pid: u32) -> Result<f64, Failure> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.ok_or("no VmRSS in status")?.parse()?;
    Ok(kib / 1024.0)
}

/// The children of a process.
pub(super) fn children(pid: u32) -> io::Result<Vec<u32>> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect())
}
