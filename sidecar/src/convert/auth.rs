//! Who may use an app: lines, which are read here only to see whether they are well
//! formed; and what is asked and answered about credentials.

use std::{net::IpAddr, time::Duration};

use ::auth::{MAX_CREDENTIAL, MAX_SHOWN, Policy, mark};
use credentials::Document;
use dynomesh_proto::v1::{self, AuthVerdict, sidecar_message::Kind};
use mesh::Auth;

use super::{Malformed, millis};
use crate::verify::{Asked, Check, Finding, Ruling, Shown, Verdict};

/// Lines that somebody sets. Whether they are well formed depends on them alone.
pub(super) fn auth_from_proto(given: v1::Auth) -> Result<Auth, Malformed> {
    if !given.lines.is_empty() {
        let parsed = Document::parse(&given.lines);
        parsed.map_err(|problem| Malformed::new("put_auth", problem.to_string()))?;
    }
    Ok(auth(given.lines))
}

/// Lines that were checked when they were set, perhaps by another version.
pub(super) fn auth(lines: Vec<String>) -> Auth {
    let mark = mark(&lines);
    Auth::new(lines.into_iter().map(Into::into), mark)
}

pub(super) fn auth_lines(auth: &Auth) -> Vec<String> {
    auth.lines().iter().map(|line| (**line).into()).collect()
}

/// What a router has to know of it.
pub(super) fn app_auth(auth: &Auth) -> Option<v1::AppAuth> {
    let mark = auth.mark()?;
    let lines = Policy::public(auth.lines()).map(Into::into);
    Some(v1::AppAuth {
        mark: mark.to_vec(),
        lines: lines.collect(),
    })
}

/// Credentials that a router asks about.
///
/// # Errors
/// Which field is not what the protocol says.
pub fn authenticate(asked: v1::Authenticate) -> Result<(u64, Asked), Malformed> {
    let wrong = |field: &str, problem: &str| Err(Malformed::new(field, problem));
    if asked.number == 0 {
        return wrong("authenticate.number", "is 0");
    }
    if asked.credential.len() > MAX_CREDENTIAL {
        return wrong("authenticate.credential", "is too long");
    }
    let shown = match asked.request {
        Some(request) => shown(request)?,
        None => Shown::default(),
    };
    let client = match &asked.client[..] {
        [] => None,
        four if four.len() == 4 => four.first_chunk::<4>().map(|four| IpAddr::from(*four)),
        more => match more.as_array::<16>() {
            Some(sixteen) => Some(IpAddr::from(*sixteen)),
            None => return wrong("authenticate.client", "has neither 4 nor 16 bytes"),
        },
    };
    let asked_of = Asked {
        app: asked.app.into(),
        credential: asked.credential.into(),
        client,
        shown,
    };
    Ok((asked.number, asked_of))
}

fn shown(request: v1::ShownRequest) -> Result<Shown, Malformed> {
    let headers: usize = request
        .headers
        .iter()
        .map(|h| h.name.len() + h.value.len())
        .sum();
    let bytes = request.method.len() + request.host.len() + request.target.len() + headers;
    if bytes > MAX_SHOWN {
        return Err(Malformed::new("authenticate.request", "is too long"));
    }
    Ok(Shown {
        method: request.method,
        host: request.host,
        target: request.target,
        headers: request
            .headers
            .into_iter()
            .map(|h| (h.name, h.value))
            .collect(),
    })
}

/// What an authorizer is asked.
pub fn check_request(check: Check) -> v1::CheckRequest {
    let headers = check.shown.headers.into_iter();
    let headers = headers.map(|(name, value)| v1::ShownHeader { name, value });
    v1::CheckRequest {
        app: (*check.app).into(),
        user: check.user,
        claims: check.claims,
        client: check
            .client
            .map(|client| client.to_string())
            .unwrap_or_default(),
        request: Some(v1::ShownRequest {
            method: check.shown.method,
            host: check.shown.host,
            target: check.shown.target,
            headers: headers.collect(),
        }),
    }
}

/// What it says. `None`: nothing that is known here.
pub fn ruling(answer: v1::CheckResponse) -> Option<Ruling> {
    Some(match answer.result? {
        v1::check_response::Result::Allowed(allowed) => Ruling::Allowed {
            valid: Duration::from_millis(allowed.valid_ms.into()),
            headers: allowed
                .headers
                .into_iter()
                .map(|h| (h.name, h.value))
                .collect(),
        },
        v1::check_response::Result::Denied(denied) => Ruling::Denied {
            unknown: denied.unknown,
        },
    })
}

/// What came of it.
pub fn authenticated(number: u64, finding: Finding) -> v1::SidecarMessage {
    let mut message = v1::Authenticated {
        number,
        mark: finding.mark.map(Vec::from).unwrap_or_default(),
        ..Default::default()
    };
    let verdict = match finding.verdict {
        Verdict::Pass(pass) => {
            message.valid_ms = millis(pass.valid);
            let headers = pass.headers.into_iter();
            let headers = headers.map(|(name, value)| v1::SetHeader { name, value });
            message.headers = headers.collect();
            message.user = pass.user;
            AuthVerdict::Pass
        }
        Verdict::Wrong => AuthVerdict::Wrong,
        Verdict::Denied => AuthVerdict::Denied,
        Verdict::Limited(after) => {
            message.retry_after_s = u32::try_from(after.as_secs_f64().ceil() as u64).unwrap_or(1);
            AuthVerdict::Limited
        }
        Verdict::Busy => AuthVerdict::Busy,
        Verdict::Away => AuthVerdict::Away,
    };
    message.set_verdict(verdict);
    v1::SidecarMessage {
        kind: Some(Kind::Authenticated(message)),
    }
}
