//! Requests as spans, by OpenTelemetry's semantic conventions for HTTP. Up to three of
//! each: the request, its wait for a dyno, and its time with dynos.
mod attributes;

use dynomesh_proto::{
    otlp::{
        ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span,
        SpanKind, Status, StatusCode,
    },
    v1::{TappedRequest, TracedRequest as Traced},
};

use super::TracedRequest;
use attributes::{Attributes, split_host};

/// Who tells.
const NAME: &str = "dynomesh";
/// A shorter wait for a dyno is none, in nanoseconds.
const WAIT: u64 = 1_000_000;
/// It is known whose the parent is, ...
const IS_KNOWN: u32 = 0x100;
/// ... and it is somebody else's.
const IS_REMOTE: u32 = 0x200;
/// As the conventions name them; others are `_OTHER`.
const METHODS: [&str; 9] = [
    "GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH",
];

/// The spans of a request, which are few.
pub fn spans(request: &TracedRequest) -> Vec<Span> {
    let TracedRequest { traced, request } = request;
    let mut spans = vec![served(traced, request)];
    spans.extend(waited(traced, request));
    spans.extend(with_dynos(traced, request));
    spans
}

/// To the collector, from the sidecar with this name.
pub fn export_request(node: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let version = env!("CARGO_PKG_VERSION");
    let mut resource = Attributes::default();
    resource.text("service.name", NAME);
    resource.text("service.version", version);
    resource.text("service.instance.id", node);
    resource.text("host.name", node);
    let scope = InstrumentationScope {
        name: NAME.into(),
        version: version.into(),
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: resource.0,
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// The request, from its arrival to its end.
fn served(traced: &Traced, request: &TappedRequest) -> Span {
    let mut all = Attributes::default();
    method(&mut all, request);
    all.text("url.scheme", &traced.scheme);
    all.text("url.path", &request.path);
    let (host, port) = split_host(&traced.host);
    all.text("server.address", host);
    all.number("server.port", port.map_or(0, Into::into));
    all.text("network.protocol.version", &traced.version);
    all.number("http.response.status_code", request.status.into());
    whose(&mut all, request);
    all.text("mesh.lease", &request.lease);
    all.text("mesh.error", &request.error);
    if request.attempts > 0 {
        all.number("mesh.attempts", request.attempts.into());
    }
    if traced.asked_ns > 0 {
        all.0
            .push(attributes::number("mesh.queue_ms", request.queue_ms.into()));
        all.0
            .push(attributes::number("mesh.wait_ms", request.wait_ms.into()));
    }
    // Whatever was wrong with the client is none of the server's.
    let by_client = (400..500).contains(&request.status);
    let failed = request.status >= 500 || !request.error.is_empty() && !by_client;
    let parent = &traced.parent;
    let remote = if parent.is_empty() { 0 } else { IS_REMOTE };
    Span {
        span_id: traced.span.clone(),
        parent_span_id: parent.clone(),
        name: name(request).into(),
        kind: SpanKind::Server.into(),
        flags: traced.flags & 0xff | IS_KNOWN | remote,
        ..span(
            traced,
            (traced.began_ns, traced.ended_ns),
            failed,
            request,
            all,
        )
    }
}

/// From when it wanted a dyno to when it had one, or ended without.
fn waited(traced: &Traced, request: &TappedRequest) -> Option<Span> {
    let until = match traced.led_ns {
        0 => traced.ended_ns,
        led => led,
    };
    if traced.asked_ns == 0 || until.saturating_sub(traced.asked_ns) < WAIT {
        return None;
    }
    let mut all = Attributes::default();
    all.text("mesh.app", &request.app);
    let failed = traced.led_ns == 0 && !request.error.is_empty();
    Some(Span {
        span_id: name_of_wait(&traced.span),
        name: "wait".into(),
        kind: SpanKind::Internal.into(),
        ..span(traced, (traced.asked_ns, until), failed, request, all)
    })
}

/// From when it had its first dyno to when it had none any more. It is what dynos see as
/// their parent.
fn with_dynos(traced: &Traced, request: &TappedRequest) -> Option<Span> {
    if traced.led_ns == 0 {
        return None;
    }
    let until = match traced.freed_ns {
        0 => traced.ended_ns,
        freed => freed,
    };
    let mut all = Attributes::default();
    method(&mut all, request);
    all.number("http.response.status_code", request.status.into());
    all.number(
        "http.request.resend_count",
        request.attempts.saturating_sub(1).into(),
    );
    whose(&mut all, request);
    all.text("peer.service", &request.app);
    let failed = request.status >= 400 || !request.error.is_empty();
    Some(Span {
        span_id: traced.dyno_span.clone(),
        name: name(request).into(),
        kind: SpanKind::Client.into(),
        ..span(traced, (traced.led_ns, until), failed, request, all)
    })
}

/// What all have. The parent is the request itself.
fn span(
    traced: &Traced,
    (from, until): (u64, u64),
    failed: bool,
    request: &TappedRequest,
    mut all: Attributes,
) -> Span {
    if failed {
        match &*request.error {
            "" => all.text("error.type", &request.status.to_string()),
            code => all.text("error.type", code),
        }
    }
    let status = Status {
        code: StatusCode::Error.into(),
        ..Status::default()
    };
    Span {
        trace_id: traced.trace.clone(),
        parent_span_id: traced.span.clone(),
        start_time_unix_nano: from,
        // Clocks are set.
        end_time_unix_nano: until.max(from),
        attributes: all.0,
        status: failed.then_some(status),
        flags: traced.flags & 0xff | IS_KNOWN,
        ..Span::default()
    }
}

/// There is no route to name it by, so its method it is.
fn name(request: &TappedRequest) -> &str {
    let known = METHODS.iter().find(|known| **known == request.method);
    known.unwrap_or(&"HTTP")
}

fn method(all: &mut Attributes, request: &TappedRequest) {
    match name(request) {
        "HTTP" => {
            all.text("http.request.method", "_OTHER");
            all.text("http.request.method_original", &request.method);
        }
        method => all.text("http.request.method", method),
    }
}

fn whose(all: &mut Attributes, request: &TappedRequest) {
    all.text("mesh.app", &request.app);
    all.text("mesh.dyno", &request.dyno);
    all.text("mesh.instance", &request.instance);
}

/// One that no other span of the request has.
fn name_of_wait(span: &[u8]) -> Vec<u8> {
    let mut name = span.to_vec();
    if let Some(first) = name.first_mut() {
        *first ^= 0x55;
    }
    match name.iter().all(|byte| *byte == 0) {
        true => vec![0xff; 8],
        false => name,
    }
}

#[cfg(test)]
mod tests;
