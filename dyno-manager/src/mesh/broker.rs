//! RabbitMQ alone, where there is no sidecar: events come out of a queue of this
//! manager's own, and what it has to say is written into the route log.
//!
//! Nobody can be looked at, so everything is said at once and is made whatever it
//! finds ([`whole_change`]). A *session* has two connections, since a broker that
//! takes nothing more stops all that is written on one, acknowledgements included.
//! Whatever goes wrong ends it, and the next one begins by saying everything.

mod link;
mod listening;
mod message;
mod outlet;
mod queue;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dynomesh_proto::v1::{Change, LogEntry, log_entry::Kind};
use prost::Message as _;

use super::{Error, Mesh};
use crate::{
    app::{Told, whole_change},
    config::{AppConfig, Broker as Config},
};
use link::Link;
use listening::Listening;
use message::Known;
use outlet::Outlet;

/// A way to the mesh over its broker.
#[derive(Clone, Debug)]
pub(crate) struct Broker(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: Config,
    apps: Vec<String>,
    /// Of the session that goes on.
    outlet: Mutex<Option<Arc<Outlet>>>,
    /// What was published and is not known to be in the log, by app.
    doubts: Mutex<HashMap<String, (Change, String)>>,
    /// The events that have come, also in earlier sessions.
    known: Arc<Mutex<Known>>,
}

impl Broker {
    /// For these apps.
    pub(crate) fn new(config: Config, apps: Vec<String>) -> Self {
        Self(Arc::new(Inner {
            config,
            apps,
            outlet: Mutex::default(),
            doubts: Mutex::default(),
            known: Arc::default(),
        }))
    }

    /// The same change has the same id until it is known to be in the log.
    fn id(&self, change: &Change) -> String {
        let mut doubts = lock(&self.0.doubts);
        if let Some((doubted, id)) = doubts.get(&change.app)
            && doubted == change
        {
            return id.clone();
        }
        let id = format!("{:032x}", rand::random::<u128>());
        doubts.insert(change.app.clone(), (change.clone(), id.clone()));
        id
    }

    async fn say(&self, change: Change) -> Result<(), Error> {
        let outlet = lock(&self.0.outlet).clone();
        let outlet = outlet.ok_or_else(|| unreachable("there is no connection"))?;
        let (app, id) = (change.app.clone(), self.id(&change));
        let entry = LogEntry {
            change_id: id.clone(),
            node: self.0.config.node.clone(),
            kind: Some(Kind::Change(change)),
            ..LogEntry::default()
        };
        let entry = entry.encode_to_vec();
        let said = outlet.publish(&self.0.config.prefix, &app, &id, &entry);
        said.await.map_err(unreachable)?;
        lock(&self.0.doubts).remove(&app);
        Ok(())
    }
}

impl Mesh for Broker {
    type Events = Listening;

    /// Longer than a broker takes to notice that a connection is dead.
    const LATE: Option<Duration> = Some(Duration::from_secs(30));

    async fn watch(&self) -> Result<Self::Events, Error> {
        let inner = &self.0;
        let publishing = Link::open(&inner.config, "publishes").await;
        let publishing = publishing.map_err(unreachable)?;
        publishing.confirm().await.map_err(unreachable)?;
        let listening =
            Listening::open(&inner.config, &inner.apps, publishing, inner.known.clone());
        let listening = listening.await;
        let mut listening = listening.map_err(unreachable)?;
        let outlet = listening.outlet();
        *lock(&inner.outlet) = Some(outlet.clone());
        let inner = inner.clone();
        listening.at_end(move || {
            let mut current = lock(&inner.outlet);
            if current.as_ref().is_some_and(|it| Arc::ptr_eq(it, &outlet)) {
                *current = None;
            }
        });
        Ok(listening)
    }

    async fn tell(
        &self,
        app: &AppConfig,
        told: &mut Option<Told>,
        wanted: Told,
    ) -> Result<Vec<String>, Error> {
        if told.as_ref() != Some(&wanted) {
            self.say(whole_change(app, &wanted)).await?;
            *told = Some(wanted);
        }
        Ok(Vec::new())
    }
}

fn unreachable(problem: impl std::fmt::Display) -> Error {
    Error::Unreachable(problem.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
