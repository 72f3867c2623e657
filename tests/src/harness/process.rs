//! A process that this one started.

use std::{
    io,
    process::{Child, ChildStdout, Command, ExitStatus},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::{spawner, wait};

/// A child process. When it is dropped it ends, with every child of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ended: bool,
}

impl Process {
    /// Starts it. `farewell` is what it gets when this process dies: KILL, unless
    /// it has children that it must end itself.
    pub fn start(command: Command, farewell: Signal) -> io::Result<Self> {
        Ok(Self {
            child: spawner::spawn(command, farewell)?,
            ended: false,
        })
    }

    /// What it prints, if the command had that piped.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn raw_pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Sends it a signal, unless it has ended.
    pub fn signal(&mut self, signal: Signal) {
        if self.exited().is_none() {
            kill_process(self.raw_pid(), signal).expect("a child that was not waited for exists");
        }
    }

    /// How it ended, if it has.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        let status = self.child.try_wait().expect("a child can be waited for");
        self.ended |= status.is_some();
        status
    }

    /// Waits until it has ended by itself.
    pub async fn wait(&mut self) -> ExitStatus {
        let what = format!("process {} has ended", self.pid());
        wait::some(wait::LIMIT, &what, async || self.exited()).await
    }

    /// Ends it at once with every child of its own, and waits until it is gone.
    pub async fn kill_all(&mut self) {
        if self.exited().is_none() {
            kill_process_group(self.raw_pid(), Signal::KILL)
                .expect("the group of a child that was not waited for exists");
        }
        self.wait().await;
    }

    /// Ends it at once, and waits until it is gone.
    pub async fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.ended {
            // The group, which is its own: Nginx has workers. Both fail only for
            // a process that is gone.
            let _ = kill_process_group(self.raw_pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}
