//! The client of a collector of traces (OTLP over gRPC).
//!
//! Spans are gathered into batches, which go one after the other. One that the collector
//! does not take is tried again for a while; what comes meanwhile waits where it is, and
//! is lost when there is no room. No request waits for any of it.

use std::{error::Error as _, sync::Arc, time::Duration};

use dynomesh_proto::otlp::{
    ExportTraceServiceRequest, Span, trace_service_client::TraceServiceClient,
};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, sleep, timeout, timeout_at},
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataMap,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::fetch::words;
use crate::{
    convert::{self, TracedRequest},
    driver::{Driver, SpanEnd},
};

/// Spans in a batch, about: those of one request stay together.
const BATCH: usize = 512;
/// Fewer wait so long for each other.
const GATHER: Duration = Duration::from_secs(1);
/// A collector that is there takes a connection within this, ...
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// ... and a batch within this. Which it may not, for so long altogether.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
const TRY_FOR: Duration = Duration::from_secs(30);
/// Between two tries; twice as long each time.
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// It is pinged while it does not answer.
const PING_EVERY: Duration = Duration::from_secs(10);
/// When this process ends, the last batch has so long.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Characters of what a collector says that are logged.
const MOST: usize = 200;

/// See the module's documentation.
#[derive(Debug)]
pub struct Collector {
    client: TraceServiceClient<Channel>,
    headers: MetadataMap,
    node: String,
    /// The next batch.
    spans: Vec<Span>,
    standing: Standing,
}

/// What it was like the last time.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Away,
    Refusing,
}

/// Why it has not taken a batch.
enum Problem {
    /// It may take it later.
    Away(String),
    /// It never will.
    Refused(String),
}

impl Collector {
    /// The collector at this URL, which is told these headers. To be called within a
    /// runtime.
    ///
    /// # Errors
    /// Why nothing can be sent there.
    pub fn new(
        url: &str,
        tls: Option<ClientTlsConfig>,
        headers: MetadataMap,
        node: &str,
    ) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(url.to_owned()).and_then(|to| match tls {
            Some(tls) => to.tls_config(tls),
            None => Ok(to),
        });
        let endpoint = endpoint.map_err(|error| words(&error))?;
        let channel = endpoint
            .connect_timeout(CONNECT_WITHIN)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(ANSWER_WITHIN)
            .connect_lazy();
        Ok(Self {
            client: TraceServiceClient::new(channel),
            headers,
            node: node.into(),
            spans: Vec::new(),
            standing: Standing::Good,
        })
    }

    /// Carries what comes, until the driver is stopped.
    pub async fn carry(mut self, driver: Arc<Driver>, mut from: Receiver<TracedRequest>) {
        let carrying = async {
            while self.gather(&mut from).await {
                self.deliver(&driver).await;
            }
        };
        tokio::select! {
            () = carrying => {}
            () = driver.stopped() => {}
        }
        // The end of this process does not wait for one that is not there.
        if self.standing == Standing::Away {
            return;
        }
        while self.spans.len() < BATCH
            && let Ok(request) = from.try_recv()
        {
            self.spans.extend(convert::spans(&request));
        }
        let last = timeout(LAST_WORDS, self.deliver(&driver)).await;
        drop(last);
    }

    /// Gathers a batch. `false`: nothing comes any more.
    async fn gather(&mut self, from: &mut Receiver<TracedRequest>) -> bool {
        let Some(first) = from.recv().await else {
            return false;
        };
        let until = Instant::now() + GATHER;
        self.spans.extend(convert::spans(&first));
        while self.spans.len() < BATCH
            && let Ok(Some(request)) = timeout_at(until, from.recv()).await
        {
            self.spans.extend(convert::spans(&request));
        }
        true
    }

    /// Gets rid of the batch, one way or the other.
    async fn deliver(&mut self, driver: &Driver) {
        let spans = std::mem::take(&mut self.spans);
        if spans.is_empty() {
            return;
        }
        let count = spans.len() as u64;
        let request = convert::export_request(&self.node, spans);
        let until = Instant::now() + TRY_FOR;
        let mut wait = FIRST_WAIT;
        loop {
            let problem = match self.send(&request).await {
                Ok(refused) => {
                    let refused = refused.min(count);
                    driver.count_spans(SpanEnd::Refused, refused);
                    return driver.count_spans(SpanEnd::Sent, count - refused);
                }
                Err(problem) => problem,
            };
            match problem {
                Problem::Refused(why) => {
                    self.stands(Standing::Refusing, &why);
                    return driver.count_spans(SpanEnd::Refused, count);
                }
                Problem::Away(why) => self.stands(Standing::Away, &why),
            }
            if Instant::now() + wait > until {
                return driver.count_spans(SpanEnd::Lost, count);
            }
            // Those who were sent away together come again apart.
            sleep(wait.mul_f64(rand::random_range(0.5..1.0))).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    /// Says how many spans it did not want.
    async fn send(&mut self, request: &ExportTraceServiceRequest) -> Result<u64, Problem> {
        let mut call = Request::new(request.clone());
        *call.metadata_mut() = self.headers.clone();
        let answer = timeout(ANSWER_WITHIN, self.client.export(call)).await;
        let answer = answer
            .map_err(|_| Problem::Away(format!("no answer within {ANSWER_WITHIN:?}")))?
            .map_err(problem)?;
        let partial = answer.into_inner().partial_success.unwrap_or_default();
        let refused = u64::try_from(partial.rejected_spans).unwrap_or(0);
        match refused {
            0 => self.stands(Standing::Good, ""),
            _ => self.stands(Standing::Refusing, &shown(&partial.error_message)),
        }
        Ok(refused)
    }

    /// Said when it changes.
    fn stands(&mut self, standing: Standing, why: &str) {
        if self.standing == standing {
            return;
        }
        match standing {
            Standing::Good => tracing::info!("the collector of traces takes spans again"),
            Standing::Away => tracing::warn!(
                "the collector of traces does not take spans, which are lost if it goes on: {why}"
            ),
            Standing::Refusing => {
                tracing::warn!("the collector of traces refuses spans, which are lost: {why}");
            }
        }
        self.standing = standing;
    }
}

/// What OTLP says may be tried again, and what no collector has said.
fn problem(status: Status) -> Problem {
    let why = match status.source() {
        Some(source) => deepest(source),
        None => format!("{:?}: {}", status.code(), shown(status.message())),
    };
    let later = matches!(
        status.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
    );
    match later || status.source().is_some() {
        true => Problem::Away(why),
        false => Problem::Refused(why),
    }
}

fn deepest(error: &(dyn std::error::Error + 'static)) -> String {
    match error.source() {
        Some(deeper) => deepest(deeper),
        None => error.to_string(),
    }
}

/// Somebody else's words, for the log.
fn shown(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(MOST)
        .collect()
}
