//! Requests, one line each.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use dynomesh_proto::v1::{Choice, LeaseKind, TappedRequest};

use super::plain;

/// Candidates that are shown.
const SHOWN: usize = 6;

/// When it ended, what it was, what became of it, and why that dyno.
pub(crate) fn tap_line(request: &TappedRequest) -> String {
    let ended = UNIX_EPOCH + Duration::from_millis(request.ended_ms);
    let mut line = format!(
        "{} {} {} {}",
        humantime::format_rfc3339_millis(ended),
        request.status,
        request.method,
        request.path
    );
    if !request.error.is_empty() {
        let _ = write!(line, " {}", request.error);
    }
    match &*request.dyno {
        "" => line.push_str("  no dyno"),
        dyno => {
            let _ = write!(line, "  {dyno}");
        }
    }
    if request.attempts > 1 {
        let _ = write!(line, " ({} tries)", request.attempts);
    }
    line.push_str("  total ");
    line.push_str(&span(request.total_ms));
    for (name, time) in [
        ("queue", (request.queue_ms > 0).then_some(request.queue_ms)),
        ("wait", (request.wait_ms > 0).then_some(request.wait_ms)),
        ("connect", request.connect_ms),
        ("first byte", request.first_byte_ms),
        ("response", request.response_ms),
    ] {
        if let Some(time) = time {
            let _ = write!(line, ", {name} {}", span(time));
        }
    }
    match request.lease_kind() {
        LeaseKind::Unspecified => {}
        LeaseKind::Asked => line.push_str("  asked"),
        LeaseKind::Ahead => line.push_str("  reserved ahead"),
        LeaseKind::PassedOn => line.push_str("  passed on"),
        LeaseKind::HandedOn => line.push_str("  handed on"),
    }
    if let Some(choice) = &request.choice {
        line.push_str(&choice_words(choice));
    }
    plain(&line).into_owned()
}

/// As people say it; nothing is a time, too.
fn span(millis: u32) -> String {
    match millis {
        0..1_000 => format!("{millis}ms"),
        _ => super::longest(millis),
    }
}

/// The load of each, the chosen one first.
fn choice_words(choice: &Choice) -> String {
    let shown = choice.candidates.iter().take(SHOWN).map(|dyno| {
        let load = dyno.load + dyno.elsewhere;
        match dyno.limit {
            0 => format!("{} {load}", dyno.dyno),
            limit => format!("{} {load}/{limit}", dyno.dyno),
        }
    });
    let shown: Vec<_> = shown.collect();
    let rest = (choice.up as usize).saturating_sub(shown.len());
    let more = if rest > 0 {
        format!(", {rest} more")
    } else {
        String::new()
    };
    format!(" of [{}{more}]", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use dynomesh_proto::v1::Candidate;

    use super::*;

    #[test]
    fn a_request_is_a_line() {
        let candidate = |dyno: &str, load, limit| Candidate {
            dyno: dyno.into(),
            load,
            elsewhere: 1,
            limit,
        };
        let mut request = TappedRequest {
            dyno: "web.1".into(),
            method: "GET".into(),
            path: "/a\u{1b}".into(),
            status: 200,
            attempts: 1,
            connect_ms: Some(0),
            response_ms: Some(12),
            total_ms: 13,
            ended_ms: 1_000,
            choice: Some(Choice {
                candidates: vec![candidate("web.1", 0, 5), candidate("web.2", 3, 0)],
                up: 9,
                waiting: 0,
            }),
            ..TappedRequest::default()
        };
        request.set_lease_kind(LeaseKind::Asked);
        let line = tap_line(&request);
        assert!(
            line.starts_with("1970-01-01T00:00:01.000Z 200 GET /a"),
            "{line}"
        );
        assert!(!line.contains('\u{1b}'), "{line:?}");
        assert!(
            line.ends_with("asked of [web.1 1/5, web.2 4, 7 more]"),
            "{line}"
        );
        let refused = TappedRequest {
            status: 503,
            error: "H14".into(),
            ..TappedRequest::default()
        };
        assert!(tap_line(&refused).contains("H14  no dyno"));
    }
}
