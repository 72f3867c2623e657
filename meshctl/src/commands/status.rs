//! `meshctl status`: for people, and for scripts that wait for the sidecar.

use std::time::Duration;

use dynomesh_proto::v1::Status as StatusMessage;
use tokio::time::{Instant, sleep};

use crate::{
    args::{Connection, Status},
    client::Client,
    failure::Failure,
    output::{Output, status_details},
};

/// How often to look while waiting.
const AGAIN: Duration = Duration::from_millis(200);

pub(super) async fn run(
    args: &Status,
    connection: &Connection,
    out: Output,
) -> Result<(), Failure> {
    let status = match args.wait {
        None => look(connection).await?,
        Some(limit) => wait(connection, limit).await?,
    };
    match out.json {
        true => out.object(&status)?,
        false => out.text(&status_details(&status))?,
    }
    match (status.ready, args.wait) {
        (true, _) => Ok(()),
        (false, None) => Err(Failure::NotReady(
            "the sidecar is not ready: it loads its table, or workers from before have yet to report; \
             `meshctl status --wait 30s` waits for it"
                .into(),
        )),
        (false, Some(limit)) => Err(Failure::NotReady(format!(
            "the sidecar was not ready within {}",
            humantime::format_duration(limit)
        ))),
    }
}

async fn look(connection: &Connection) -> Result<StatusMessage, Failure> {
    Client::connect(connection).await?.status().await
}

/// Looks again until the sidecar is ready or the time is over, and says how it
/// was at last. A sidecar that is just starting has no socket yet.
async fn wait(connection: &Connection, limit: Duration) -> Result<StatusMessage, Failure> {
    let end = Instant::now() + limit;
    loop {
        // No single look may last longer than all of them.
        let left = end.saturating_duration_since(Instant::now()).max(AGAIN);
        let timeout = connection.timeout.min(left);
        let seen = look(&Connection {
            timeout,
            ..connection.clone()
        })
        .await;
        let settled = match &seen {
            Ok(status) => status.ready,
            Err(failure) => !matches!(failure, Failure::Unreachable(_)),
        };
        if settled || Instant::now() + AGAIN > end {
            return seen;
        }
        sleep(AGAIN).await;
    }
}
