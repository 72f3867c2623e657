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
                    let status = context.client.app(self.app).await?;
                    match look(&status, self.name, &self.instance) {
                        Seen::Finished => return Ok(()),
                        Seen::Busy(load) => self.progress.show(&figures(self.name, load, &status)),
                        Seen::Other(state) => return Err(self.overruled(state)),
                    }
                }
            }
        }
    }

    fn is_end(&self, event: &Event) -> bool {
        matches!(&event.kind, Some(Kind::Drained(drained))
            if drained.app == self.app
                && drained.dyno == self.name
                && drained.instance == self.instance)
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
    /// It has no request, or is gone altogether.
    Finished,
    Busy(u32),
    /// Not draining any more.
    Other(DynoState),
}

fn look(status: &AppStatus, name: &str, instance: &str) -> Seen {
    let dynos = status.app.iter().flat_map(|app| &app.dynos);
    let Some(dyno) = dynos
        .into_iter()
        .find(|dyno| dyno.name == name && dyno.instance == instance)
    else {
        return Seen::Finished;
    };
    let load = status
        .dynos
        .iter()
        .find(|load| load.name == name)
        .map_or(0, |load| load.load);
    match (dyno.state(), load) {
        (state @ (DynoState::Up | DynoState::Starting), _) => Seen::Other(state),
        (_, 0) => Seen::Finished,
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

    fn seen(state: DynoState, instance: &str, load: u32) -> Seen {
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
        look(&status, "web.1", "i1")
    }

    #[test]
    fn a_dyno_is_drained_without_load_or_when_gone() {
        assert_eq!(seen(DynoState::Draining, "i1", 2), Seen::Busy(2));
        assert_eq!(seen(DynoState::Draining, "i1", 0), Seen::Finished);
        assert_eq!(seen(DynoState::Crashed, "i1", 0), Seen::Finished);
        assert_eq!(look(&AppStatus::default(), "web.1", "i1"), Seen::Finished);
    }

    #[test]
    fn another_process_of_the_name_is_not_waited_for() {
        assert_eq!(seen(DynoState::Up, "i2", 5), Seen::Finished);
    }

    #[test]
    fn a_dyno_that_is_up_again_will_not_finish() {
        assert_eq!(seen(DynoState::Up, "i1", 0), Seen::Other(DynoState::Up));
    }
}
