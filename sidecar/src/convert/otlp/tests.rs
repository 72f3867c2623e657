//! What a collector sees of requests.

use dynomesh_proto::otlp::any_value::Value;

use super::*;

const MS: u64 = 1_000_000;

fn request(change: fn(&mut Traced, &mut TappedRequest)) -> TracedRequest {
    let mut traced = Traced {
        trace: vec![1; 16],
        parent: vec![2; 8],
        span: vec![3; 8],
        dyno_span: vec![4; 8],
        flags: 1,
        began_ns: 100 * MS,
        asked_ns: 101 * MS,
        led_ns: 141 * MS,
        freed_ns: 199 * MS,
        ended_ns: 200 * MS,
        scheme: "https".into(),
        host: "shop.test:8443".into(),
        version: "1.1".into(),
        request: None,
    };
    let mut request = TappedRequest {
        app: "shop".into(),
        dyno: "web.1".into(),
        lease: "0a-7".into(),
        method: "GET".into(),
        path: "/cart".into(),
        status: 200,
        attempts: 1,
        queue_ms: 40,
        wait_ms: 40,
        ..TappedRequest::default()
    };
    change(&mut traced, &mut request);
    TracedRequest { traced, request }
}

/// As text, whatever it is.
fn said(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|pair| pair.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn is_error(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|it| it.code() == StatusCode::Error)
}

#[test]
fn a_request_is_three_spans() {
    let spans = spans(&request(|_, _| {}));
    let [served, waited, dyno] = &spans[..] else {
        panic!("{spans:#?}")
    };
    assert_eq!((&*served.name, served.kind()), ("GET", SpanKind::Server));
    assert_eq!((&*waited.name, waited.kind()), ("wait", SpanKind::Internal));
    assert_eq!((&*dyno.name, dyno.kind()), ("GET", SpanKind::Client));
    for (span, id, parent, flags, from, until) in [
        (served, vec![3; 8], vec![2; 8], 0x301, 100, 200),
        (waited, name_of_wait(&[3; 8]), vec![3; 8], 0x101, 101, 141),
        (dyno, vec![4; 8], vec![3; 8], 0x101, 141, 199),
    ] {
        assert_eq!((&span.span_id, &span.parent_span_id), (&id, &parent));
        assert_eq!((&*span.trace_id, span.flags), (&[1; 16][..], flags));
        let times = (span.start_time_unix_nano, span.end_time_unix_nano);
        assert_eq!(times, (from * MS, until * MS));
        assert_eq!(said(span, "mesh.app").as_deref(), Some("shop"));
        assert!(!is_error(span) && said(span, "error.type").is_none());
    }
    for (key, value) in [
        ("http.request.method", "GET"),
        ("url.scheme", "https"),
        ("url.path", "/cart"),
        ("server.address", "shop.test"),
        ("server.port", "8443"),
        ("network.protocol.version", "1.1"),
        ("http.response.status_code", "200"),
        ("mesh.dyno", "web.1"),
        ("mesh.lease", "0a-7"),
        ("mesh.queue_ms", "40"),
        ("mesh.wait_ms", "40"),
        ("mesh.attempts", "1"),
    ] {
        assert_eq!(said(served, key).as_deref(), Some(value), "{key}");
    }
    assert_eq!(said(dyno, "peer.service").as_deref(), Some("shop"));
    assert_eq!(said(dyno, "http.request.resend_count"), None);
}

#[test]
fn what_did_not_happen_is_no_span() {
    let at_once = spans(&request(|traced, _| traced.led_ns = traced.asked_ns));
    assert_eq!(at_once.len(), 2);
    let refused = spans(&request(|traced, request| {
        (traced.led_ns, traced.freed_ns) = (0, 0);
        traced.parent.clear();
        (request.status, request.error) = (503, "H11".into());
        (request.attempts, request.wait_ms) = (0, 0);
    }));
    let [served, waited] = &refused[..] else {
        panic!("{refused:#?}")
    };
    assert_eq!(served.flags, 0x101);
    assert_eq!(waited.end_time_unix_nano, 200 * MS);
    for span in [served, waited] {
        assert!(is_error(span));
        assert_eq!(said(span, "error.type").as_deref(), Some("H11"));
    }
    assert_eq!(said(served, "mesh.attempts"), None);
    assert_eq!(said(served, "mesh.wait_ms").as_deref(), Some("0"));
    let never_asked = spans(&request(|traced, request| {
        (traced.asked_ns, traced.led_ns, traced.freed_ns) = (0, 0, 0);
        (request.status, request.error) = (401, "auth-missing".into());
    }));
    assert_eq!(never_asked.len(), 1);
    assert!(!is_error(&never_asked[0]), "it is the client's");
}

#[test]
fn an_error_is_whose_it_is() {
    let by = |status: u32, error: &'static str| {
        let mut it = request(|_, _| {});
        (it.request.status, it.request.error) = (status, error.into());
        let all = spans(&it);
        (
            is_error(&all[0]),
            is_error(&all[2]),
            said(&all[2], "error.type"),
        )
    };
    assert_eq!(by(404, ""), (false, true, Some("404".into())));
    assert_eq!(by(500, ""), (true, true, Some("500".into())));
    assert_eq!(by(200, "H18"), (true, true, Some("H18".into())));
    assert_eq!(by(499, "H27"), (false, true, Some("H27".into())));
}

#[test]
fn odd_requests_are_within_bounds() {
    let odd = spans(&request(|traced, request| {
        request.method = "é".repeat(300);
        traced.host = "[::1]".into();
        (traced.ended_ns, traced.freed_ns) = (0, 1);
    }));
    assert_eq!(odd[0].name, "HTTP");
    assert_eq!(
        said(&odd[0], "http.request.method").as_deref(),
        Some("_OTHER")
    );
    let original = said(&odd[0], "http.request.method_original").expect("it is said");
    assert_eq!(original.len(), 256);
    assert_eq!(said(&odd[0], "server.address").as_deref(), Some("[::1]"));
    assert!(
        odd.iter()
            .all(|it| it.end_time_unix_nano >= it.start_time_unix_nano)
    );
    assert_eq!(split_host("[::1]:80"), ("[::1]", Some(80)));
    assert_eq!(split_host("a.test"), ("a.test", None));
    assert_eq!(split_host("a.test:"), ("a.test:", None));
}
