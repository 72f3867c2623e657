//! What the sidecar knows of an app, and is told.

use std::{net::SocketAddr, time::Duration};

use dynomesh_proto::v1::{Dyno as ProtoDyno, DynoState};

use super::{Keeper, Message};
use crate::{
    app::{Told, app_change, dyno_name, dynos_change, told},
    mesh::{Error, Mesh},
    planner::{Dyno, Phase},
};

/// Between two tries after the sidecar refused a change, or could not make it.
const AGAIN: Duration = Duration::from_secs(2);

impl<M: Mesh> Keeper<M> {
    /// Tells the sidecar what it does not know yet.
    pub(super) async fn tell(&mut self) {
        if !self.connected || self.again.is_some_and(|at| at > self.shared.now()) {
            return;
        }
        let mut result = self.try_tell().await;
        if let Err(Error::Outdated(_)) = result {
            self.told = None;
            result = self.try_tell().await;
        }
        let app = &self.app.name;
        match result {
            Ok(()) => {}
            Err(error @ Error::Unreachable(_)) => {
                // It may be there, and its route log not.
                tracing::debug!(app, "{error}");
                (self.told, self.again) = (None, Some(self.shared.now() + AGAIN));
            }
            Err(error) => {
                tracing::error!(app, "the sidecar refuses a change: {error}");
                (self.told, self.again) = (None, Some(self.shared.now() + AGAIN));
            }
        }
    }

    async fn try_tell(&mut self) -> Result<(), Error> {
        if self.told.is_none() {
            self.ask().await?;
        }
        let wanted = self.wanted();
        let known = self.told.get_or_insert_default();
        if let Some(change) = dynos_change(&self.app.name, known, &wanted) {
            self.mesh.apply(change).await?;
            self.told = Some(wanted);
        }
        Ok(())
    }

    /// Looks what the sidecar knows, and makes the app if there is none.
    async fn ask(&mut self) -> Result<(), Error> {
        let seen = self.mesh.app(&self.app.name).await?;
        let found = seen.as_ref().map(|seen| &seen.app);
        if let Some(change) = app_change(&self.app, found) {
            self.mesh.apply(change).await?;
        }
        self.told = Some(found.map(told).unwrap_or_default());
        // That a dyno is drained may have been said to nobody.
        for seen in seen.iter().filter(|seen| seen.ready) {
            for dyno in &seen.app.dynos {
                let load = seen.loads.iter().find(|load| load.name == dyno.name);
                if dyno.state() == DynoState::Draining && load.is_none_or(|load| load.load == 0) {
                    self.send(Message::Drained(dyno.instance.clone()));
                }
            }
        }
        Ok(())
    }

    /// The dynos as the sidecar shall know them.
    fn wanted(&self) -> Told {
        let dynos = self.planner.dynos().iter();
        dynos
            .filter_map(|dyno| {
                let running = self.running.get(&dyno.start)?;
                let dyno = ProtoDyno {
                    name: dyno_name(dyno.slot),
                    instance: running.instance.clone(),
                    address: SocketAddr::new(self.app.address, running.port.max(1)).to_string(),
                    limit: 0,
                    state: state(dyno).into(),
                };
                Some((dyno.name.clone(), dyno))
            })
            .collect()
    }
}

fn state(dyno: &Dyno) -> DynoState {
    match dyno.phase {
        Phase::Starting { .. } => DynoState::Starting,
        Phase::Up { .. } => DynoState::Up,
        Phase::Draining { .. } | Phase::Stopping { crash: false, .. } => DynoState::Draining,
        Phase::Stopping { crash: true, .. } | Phase::Crashed => DynoState::Crashed,
    }
}
