//! Requests as a collector of OpenTelemetry's sees them.

mod away;
mod limits;
mod places;
mod spans;

use e2e::{
    App, Mesh,
    collector::{Collector, Trace, hex},
    harness::{Builder, wait},
};

use crate::echo::Echo;

/// Who asks, in its own trace.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER: &str = "00f067aa0ba902b7";

/// A mesh that traces this share of its requests.
fn traced(collector: &Collector, share: &str) -> Builder {
    let more = ["--otlp-endpoint", &collector.url(), "--otlp-sample", share];
    Mesh::builder().sidecar(&more)
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{CALLER}-{flags}")
}

/// Waits until Nginx knows that requests are traced: one whose caller is traced then has
/// another parent.
async fn until_traced(mesh: &Mesh, app: &App) {
    let sent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    wait::until("requests are traced", async || {
        let request = mesh.request("GET", &app.host(), "/echo");
        let answer = request.header("traceparent", sent).send().await;
        Echo::of(&answer).header("traceparent") != Some(sent)
    })
    .await;
}

/// What the dyno saw of its trace: the name of the trace, and its parent's.
fn seen(echo: &Echo) -> (String, String) {
    let text = echo.header("traceparent").expect("it is in a trace");
    let parts: Vec<_> = text.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        panic!("{text}")
    };
    assert_eq!((version, flags), ("00", "01"));
    (trace.to_owned(), span.to_owned())
}

/// The dyno's parent is the time with it, whose parent is the request.
fn assert_chain(trace: &Trace, dyno_saw: &str) {
    let dyno = trace.dyno.as_ref().expect("it had a dyno");
    assert_eq!(hex(&dyno.span_id), dyno_saw);
    assert_eq!(dyno.parent_span_id, trace.served.span_id);
    if let Some(wait) = &trace.wait {
        assert_eq!(wait.parent_span_id, trace.served.span_id);
    }
}
