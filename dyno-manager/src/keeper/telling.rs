//! What the mesh knows of an app, and is told.

use std::{net::SocketAddr, time::Duration};

use dynomesh_proto::v1::{Dyno as ProtoDyno, DynoState};

use super::{Keeper, Message};
use crate::{
    app::{Told, dyno_name},
    mesh::{Error, Mesh},
    planner::{Dyno, Phase},
};

/// Between two tries after the mesh refused a change, or could not make it.
const AGAIN: Duration = Duration::from_secs(2);

impl<M: Mesh> Keeper<M> {
    /// Tells the mesh what it does not know yet.
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
                tracing::error!(app, "a change is refused: {error}");
                (self.told, self.again) = (None, Some(self.shared.now() + AGAIN));
            }
        }
    }

    async fn try_tell(&mut self) -> Result<(), Error> {
        let wanted = self.wanted();
        let drained = self.mesh.tell(&self.app, &mut self.told, wanted).await?;
        for instance in drained {
            self.send(Message::Drained(instance));
        }
        Ok(())
    }

    /// The dynos as the mesh shall know them.
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
