//! A collector of OpenTelemetry's: keeps the spans that it is told, or does not.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use dynomesh_proto::otlp::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, Span, SpanKind,
    any_value::Value,
    trace_service_server::{TraceService, TraceServiceServer},
};
use tokio::{net::TcpListener, runtime::Runtime};
use tonic::{
    Request, Response, Status,
    metadata::MetadataMap,
    transport::{Server, ServerTlsConfig, server::TcpIncoming},
};

use crate::harness::wait;

type Answer = Result<ExportTraceServiceResponse, Status>;
type Decide = dyn Fn(&ExportTraceServiceRequest) -> Answer + Send + Sync;

/// What it was told.
#[derive(Debug, Default)]
struct Told {
    headers: MetadataMap,
    spans: Vec<Span>,
    /// Batches.
    count: usize,
}

/// One that listens. It ends when it is dropped.
pub struct Collector {
    /// Where.
    pub address: SocketAddr,
    told: Arc<Mutex<Told>>,
    /// With all connections.
    runtime: Option<Runtime>,
}

struct Desk {
    decide: Box<Decide>,
    told: Arc<Mutex<Told>>,
}

#[tonic::async_trait]
impl TraceService for Desk {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (headers, _, request) = request.into_parts();
        let answer = (self.decide)(&request);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.headers = headers;
        told.count += 1;
        if answer.is_ok() {
            let scopes = request
                .resource_spans
                .into_iter()
                .flat_map(|it| it.scope_spans);
            told.spans.extend(scopes.flat_map(|it| it.spans));
        }
        answer.map(Response::new)
    }
}

impl Collector {
    /// Takes everything, on a port of its own.
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Takes everything, there.
    pub async fn at(address: SocketAddr) -> Self {
        Self::with(address, None, |_| Ok(ExportTraceServiceResponse::default())).await
    }

    /// Answers like this.
    pub async fn with(
        address: SocketAddr,
        tls: Option<ServerTlsConfig>,
        decide: impl Fn(&ExportTraceServiceRequest) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let runtime = Runtime::new().expect("a runtime");
        let bound = runtime.spawn(TcpListener::bind(address));
        let listener = bound.await.expect("no panic").expect("a port");
        let address = listener.local_addr().expect("it is bound");
        let told = Arc::<Mutex<Told>>::default();
        let desk = Desk {
            decide: Box::new(decide),
            told: told.clone(),
        };
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).expect("good files");
        }
        let served = server
            .add_service(TraceServiceServer::new(desk))
            .serve_with_incoming(TcpIncoming::from(listener));
        // An error shows in the test.
        runtime.spawn(async { drop(served.await) });
        Self {
            address,
            told,
            runtime: Some(runtime),
        }
    }

    /// How the sidecar is told of it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn told<R>(&self, look: impl FnOnce(&Told) -> R) -> R {
        look(&self.told.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Batches that it was told, whatever it answered.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.told(|told| told.count)
    }

    /// A header of the last one.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.told(|told| Some(told.headers.get(name)?.to_str().ok()?.to_owned()))
    }

    /// All spans that it took so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.told(|told| told.spans.clone())
    }

    /// The spans of a trace, when the request itself is among them: the request, its wait
    /// and its time with dynos.
    pub async fn trace(&self, id: &str) -> Trace {
        let what = format!("the collector has trace {id}");
        wait::some(wait::LIMIT, &what, async || self.find(id)).await
    }

    /// The same, if it is there now.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<Trace> {
        let spans = self
            .spans()
            .into_iter()
            .filter(|span| hex(&span.trace_id) == id);
        let spans: Vec<_> = spans.collect();
        let of = |kind| {
            let mut all = spans.iter().filter(move |span| span.kind() == kind);
            let one = all.next().cloned();
            assert!(all.next().is_none(), "it is there twice: {spans:#?}");
            one
        };
        Some(Trace {
            served: of(SpanKind::Server)?,
            wait: of(SpanKind::Internal),
            dyno: of(SpanKind::Client),
        })
    }

    /// It is there no more, nor is any connection to it.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || drop(runtime)).await;
            stopped.expect("no panic");
        }
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What a request is in its trace.
#[derive(Clone, Debug)]
pub struct Trace {
    /// The request.
    pub served: Span,
    /// Its wait for a dyno.
    pub wait: Option<Span>,
    /// Its time with dynos.
    pub dyno: Option<Span>,
}

/// What is said of a span, as text.
#[must_use]
pub fn said(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{key}: {other:?}"),
    }
}

/// A name in a trace, as `traceparent` has it.
#[must_use]
pub fn hex(name: &[u8]) -> String {
    name.iter().map(|byte| format!("{byte:02x}")).collect()
}
