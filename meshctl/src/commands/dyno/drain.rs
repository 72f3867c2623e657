//! `meshctl dyno drain`, and the wait for the last request.

use std::{future, time::Duration};

use dynomesh_proto::v1::{AppStatus, DynoState, Event, event::Kind};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Streaming;

use super::{Context, known};
use crate::{
    args::Drain,
    change::{change, set_dyno_state},
    commands::progress::Progress,
    failure::Failure,
    output::{count, longest, state_name},
};

/// How often to look at the load: an event may be missed.
const LOOK: Duration = Duration::from_secs(1);

/// A sidecar that has restarted knows no load before the workers report.
const RESTARTED: &str = "the sidecar has restarted and waits for its workers to report";

pub(super) async fn run(args: &Drain, context: &Context) -> Result<(), Failure> {
    let Drain { app, name, wait } = args;
    // Before the change, so that its end cannot be missed.
    let watched = match wait {
        Some(_) => Some(Waiting::begin(app, name, context).await?),
        None => None,
    };
    let change = change(app, [set_dyno_state(name, DynoState::Draining)]);
    let applied = context
        .client
        .apply(change)
        .await
        .map_err(|failure| known(failure, app))?;
    let watched = watched.filter(|_| applied.queued.is_empty());
    let Some(mut waiting) = watched else {
        return context
            .out
            .applied(&applied, &format!("dyno {name} of app {app} drains"));
    };
    match wait.flatten() {
        None => waiting.end(context).await?,
        Some(limit) => timeout(limit, waiting.end(context)).await.map_err(|_| {
            let limit = humantime::format_duration(limit);
            Failure::NotReady(format!(
                "dyno {name} of app {app} has not finished within {limit}; it keeps draining"
            ))
        })??,
    }
    drop(waiting);
    context
        .out
        .applied(&applied, &format!("dyno {name} of app {app} has drained"))
}

/// A dyno that is about to finish.
struct Waiting<'a> {
    app: &'a str,
    name: &'a str,
    /// This start of the process: another one of the same name is none of ours.
    instance: String,
    /// `None` when the sidecar ended it: the load tells as well.
    events: Option<Streaming<Event>>,
    progress: Progress,
}

impl<'a> Waiting<'a> {
    async fn begin(app: &'a str, name: &'a str, context: &Context) -> Result<Self, Failure> {
        let events = Some(context.client.watch(app).await?);
        let status = context.client.app(app).await?;
        let dynos = status.app.unwrap_or_default().dynos;
        let dyno = dynos.into_iter().find(|dyno| dyno.name == name);
        // If it is not there, the change is refused in better words than ours.
        let instance = dyno.unwrap_or_default().instance;
        Ok(Self {
            app,
            name,
            instance,
            events,
            progress: Progress::anywhere(),
        })
    }

    async fn end(&mut self, context: &Context) -> Result<(), Failure> {
        let mut looks = interval(LOOK);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                event = next(&mut self.events) => {
                    if self.is_end(&event) {
                        return Ok(());
                    }
                }
                _ = looks.tick() => {
                    if self.look(context).await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Whether the dyno has finished, as far as its load tells.
    async fn look(&mut self, context: &Context) -> Result<bool, Failure> {
        let before = context.client.status().await?;
        let status = context.client.app(self.app).await?;
        match seen(&status, self.name, &self.instance) {
            Seen::Idle => {
                let after = context.client.status().await?;
                let known = before.ready && before.epoch == after.epoch;
                if !known {
                    self.progress.show(RESTARTED);
                }
                return Ok(known);
            }
            Seen::Busy(load) => self.progress.show(&figures(self.name, load, &status)),
            Seen::Removed => return Err(self.removed()),
            Seen::Other(state) => return Err(self.overruled(state)),
        }
        Ok(false)
    }

    fn is_end(&self, event: &Event) -> bool {
        matches!(&event.kind, Some(Kind::Drained(drained))
            if drained.app == self.app
                && drained.dyno == self.name
                && drained.instance == self.instance)
    }

    fn removed(&self) -> Failure {
        Failure::Partly(format!(
            "dyno {} of app {} was removed meanwhile; whether it has finished is not known",
            self.name, self.app
        ))
    }

    fn overruled(&self, state: DynoState) -> Failure {
        Failure::Partly(format!(
            "dyno {} of app {} is {} again: someone else changed it meanwhile",
            self.name,
            self.app,
            state_name(state)
        ))
    }
}

/// The next event, or never when there are no more.
async fn next(events: &mut Option<Streaming<Event>>) -> Event {
    if let Some(stream) = events {
        if let Ok(Some(event)) = stream.message().await {
            return event;
        }
        *events = None;
    }
    future::pending().await
}

/// What a look at the app says about the dyno.
#[derive(Debug, Eq, PartialEq)]
enum Seen {
    /// It has no request that the sidecar knows of.
    Idle,
    Busy(u32),
    /// It, or this start of it, is not in the app any more.
    Removed,
    /// Not draining any more.
    Other(DynoState),
}

fn seen(status: &AppStatus, name: &str, instance: &str) -> Seen {
    let dynos = status.app.iter().flat_map(|app| &app.dynos);
    let Some(dyno) = dynos
        .into_iter()
        .find(|dyno| dyno.name == name && dyno.instance == instance)
    else {
        return Seen::Removed;
    };
    let load = status
        .dynos
        .iter()
        .find(|load| load.name == name)
        .map_or(0, |load| load.load);
    match (dyno.state(), load) {
        (state @ (DynoState::Up | DynoState::Starting), _) => Seen::Other(state),
        (_, 0) => Seen::Idle,
        (_, load) => Seen::Busy(load),
    }
}

fn figures(name: &str, load: u32, status: &AppStatus) -> String {
    format!(
        "{name} has {}; its app: {} in flight, {} waiting, the oldest {}",
        count(load as usize, "request"),
        status.in_flight,
        status.waiting,
        longest(status.oldest_wait_ms)
    )
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::{App, Dyno, DynoLoad};

    use super::*;

    fn looked(state: DynoState, instance: &str, load: u32) -> Seen {
        let dyno = Dyno {
            name: "web.1".into(),
            instance: instance.into(),
            state: state.into(),
            ..Default::default()
        };
        let app = App {
            dynos: vec![dyno],
            ..Default::default()
        };
        let load = DynoLoad {
            name: "web.1".into(),
            load,
            ..Default::default()
        };
        let status = AppStatus {
            app: Some(app),
            dynos: vec![load],
            ..Default::default()
        };
        seen(&status, "web.1", "i1")
    }

    #[test]
    fn a_dyno_is_idle_without_load() {
        assert_eq!(looked(DynoState::Draining, "i1", 2), Seen::Busy(2));
        assert_eq!(looked(DynoState::Draining, "i1", 0), Seen::Idle);
        assert_eq!(looked(DynoState::Crashed, "i1", 0), Seen::Idle);
    }

    #[test]
    fn a_dyno_that_is_gone_or_another_process_now_was_removed() {
        assert_eq!(seen(&AppStatus::default(), "web.1", "i1"), Seen::Removed);
        assert_eq!(looked(DynoState::Up, "i2", 5), Seen::Removed);
    }

    #[test]
    fn a_dyno_that_is_up_again_will_not_finish() {
        assert_eq!(looked(DynoState::Up, "i1", 0), Seen::Other(DynoState::Up));
    }
}
