//! `meshctl apply`: many changes on one stream, a bounded number on their way.

mod input;
mod report;
mod send;

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use dynomesh_proto::v1::{Applied, Change};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, sleep_until},
};

use crate::{
    args::{Apply, Connection},
    client::{Client, no_answer},
    failure::Failure,
    output::Output,
};
use input::Input;
use report::Report;
use send::{Note, Sent, WINDOW, outgoing};

pub(super) async fn run(
    args: &Apply,
    connection: &Connection,
    queue: bool,
    out: Output,
) -> Result<(), Failure> {
    let mut input = Input::open(&args.file)?;
    input.validate()?;
    let client = Client::connect(connection).await?.queueing(queue);
    let timeout = client.timeout();

    let window = Arc::new(Semaphore::new(WINDOW));
    let (tell, notes) = mpsc::channel(WINDOW);
    let changes = outgoing(input.read(), tell, Arc::clone(&window));
    let mut exchange = Exchange {
        notes,
        window,
        timeout,
        unanswered: VecDeque::with_capacity(WINDOW),
        report: Report::new(out),
    };
    let ended = exchange.run(results(client, changes)).await;
    exchange.report.end(ended, &exchange.unanswered)
}

/// The answers, as soon as there is a stream of them.
fn results(
    client: Client,
    changes: impl Stream<Item = Change> + Send + 'static,
) -> impl Stream<Item = Result<Applied, Failure>> {
    let call = async move {
        let results = client.apply_many(changes).await?;
        Ok::<_, Failure>(results.map_err(|status| Failure::from_status(&status)))
    };
    stream::once(call).try_flatten()
}

/// Brings together what was sent and what was answered.
struct Exchange {
    notes: mpsc::Receiver<Note>,
    window: Arc<Semaphore>,
    /// Longest time without an answer while there is something to answer.
    timeout: Duration,
    /// Sent; in order, as the answers will be. Never more than the window.
    unanswered: VecDeque<Sent>,
    report: Report,
}

impl Exchange {
    async fn run(
        &mut self,
        results: impl Stream<Item = Result<Applied, Failure>>,
    ) -> Result<(), Failure> {
        let mut results = pin!(results);
        let mut since = Instant::now();
        loop {
            tokio::select! {
                // A change is noted before it is sent, and so before its answer.
                biased;
                Some(note) = self.notes.recv() => {
                    if self.unanswered.is_empty() {
                        since = Instant::now();
                    }
                    self.note(note);
                }
                result = results.next() => match result {
                    Some(result) => {
                        since = Instant::now();
                        self.answered(&result?)?;
                    }
                    None => return self.ended(),
                },
                () = sleep_until(since + self.timeout), if !self.unanswered.is_empty() => {
                    return Err(no_answer(self.timeout));
                }
            }
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Sent(sent) => self.unanswered.push_back(sent),
            Note::Bad(bad) => self.report.bad(&bad),
            Note::Broken(error) => self.report.broken(&error),
        }
    }

    fn answered(&mut self, applied: &Applied) -> Result<(), Failure> {
        let sent = self.unanswered.pop_front().ok_or_else(|| {
            Failure::Local("the sidecar answered more changes than it was sent".into())
        })?;
        self.window.add_permits(1);
        self.report.answered(&sent, applied);
        Ok(())
    }

    /// No more answers: right only when all was sent and all was answered.
    fn ended(&self) -> Result<(), Failure> {
        if self.unanswered.is_empty() && self.notes.is_closed() {
            return Ok(());
        }
        Err(Failure::Unreachable(
            "the sidecar ended the stream too early".into(),
        ))
    }
}
