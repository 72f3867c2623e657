//! The processes of an app's dynos: from their start to their end.

use std::net::SocketAddr;

use rustix::process::Signal;
use tokio::{process::Child, task::AbortHandle};

use super::{Keeper, Message, Running};
use crate::{
    app::dyno_name,
    health,
    mesh::Mesh,
    planner::{Action, Input, Start},
    process,
};

impl<M: Mesh> Keeper<M> {
    pub(super) fn carry_out(&mut self) {
        while let Some(action) = self.planner.poll() {
            match action {
                Action::Start(start) => self.start(start),
                Action::Term(start) => self.signal(start, Signal::TERM),
                Action::Kill(start) => self.signal(start, Signal::KILL),
            }
        }
        let dynos = self.planner.dynos();
        self.running
            .retain(|start, _| dynos.iter().any(|dyno| dyno.start == *start));
    }

    fn signal(&self, start: Start, signal: Signal) {
        let running = self.running.get(&start);
        match running.and_then(|running| running.pid) {
            Some(pid) => process::signal(pid, signal),
            None => self.send(Message::Happened(Input::Exited(start))),
        }
    }

    /// To itself, later: it may be behind, and must not wait for itself.
    pub(super) fn send(&self, message: Message) {
        let own = self.own.clone();
        tokio::spawn(async move { own.send(message).await });
    }

    fn start(&mut self, start: Start) {
        let slot = self.planner.dynos().iter().find(|dyno| dyno.start == start);
        let Some(slot) = slot.map(|dyno| dyno.slot) else {
            return;
        };
        let (app, name) = (&self.app, dyno_name(slot));
        let instance = self.shared.instance();
        let port = self.shared.port(app.address);
        let child = port.and_then(|port| {
            let child = process::start(app, &name, &instance, port);
            child.map(|child| (port, child))
        });
        let mut running = Running {
            instance,
            port: 0,
            pid: None,
            since: self.shared.now(),
            probe: None,
        };
        match child {
            Ok((port, child)) => {
                (running.port, running.pid) = (port, child.id());
                tracing::info!(
                    app = app.name,
                    dyno = name,
                    port,
                    pid = child.id(),
                    "starting"
                );
                if let Some(pid) = child.id() {
                    self.shared.state.add(pid, &running.instance);
                }
                self.wait_for_end(start, name, port, child);
                running.probe = Some(self.wait_for_health(start, port));
            }
            Err(error) => {
                let program = app.command.first();
                tracing::error!(
                    app = app.name,
                    dyno = name,
                    program,
                    "cannot be started: {error}"
                );
                self.send(Message::Happened(Input::Exited(start)));
            }
        }
        self.running.insert(start, running);
    }

    fn wait_for_health(&self, start: Start, port: u16) -> AbortHandle {
        let (own, path) = (self.own.clone(), self.app.health.clone());
        let dyno = SocketAddr::new(self.app.address, port);
        let probe = async move {
            health::until_up(dyno, path.as_deref()).await;
            // An error means that the keeper has gone.
            let _ = own.send(Message::Happened(Input::Healthy(start))).await;
        };
        tokio::spawn(probe).abort_handle()
    }

    fn wait_for_end(&self, start: Start, dyno: String, port: u16, mut child: Child) {
        let (own, shared, app) = (self.own.clone(), self.shared.clone(), self.app.name.clone());
        tokio::spawn(async move {
            let pid = child.id();
            match child.wait().await {
                Ok(status) => tracing::info!(app, dyno, pid, "ended: {status}"),
                Err(error) => tracing::error!(app, dyno, pid, "cannot be waited for: {error}"),
            }
            // What it started goes with it.
            if let Some(pid) = pid {
                process::signal(pid, Signal::KILL);
                shared.state.remove(pid);
            }
            shared.free_port(port);
            let _ = own.send(Message::Happened(Input::Exited(start))).await;
        });
    }
}
