//! Who may use an app: whom no rule has ended has to be somebody, if not everybody
//! may.
//!
//! What a request brings is looked at as its client sent it. Whether it is right is
//! known from the last time, or the sidecar is asked, which has the secrets and the
//! time. The document that counts is that of the app that serves the request; where a
//! rule chose an app without one, that of the app that has the name.

use std::{net::IpAddr, sync::Arc};

use auth::{Authorizer, Look, MAX_SHOWN, Policy};
use dynomesh_proto::v1::{Authenticate, ShownHeader, ShownRequest};
use ngx::ffi::{NGX_DECLINED, ngx_http_request_t, ngx_int_t};
use router::{
    code::{self, Code},
    rulebook::{self, Gate, Known, Ruled},
    verdicts::{Outcome, Passed},
};
use rules::{Name, Op, Request as _, Side};

use super::{
    edit, edit_in, edit_out, refuse,
    ruling::{Ruling, Stage},
    seen::Seen,
    waiting,
};
use crate::{log, request, worker::Worker};

/// Lets a request go on, if it may. `None`: no memory.
///
/// # Safety
/// `r` is a live request, the ruling its own or its main request's.
pub(super) unsafe fn admit(
    worker: &Worker,
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
) -> Option<ngx_int_t> {
    // SAFETY: as the caller says.
    unsafe {
        let ruled = match guard_of(worker, ruling) {
            Guard::Nobody => return go_on(r, ruling),
            Guard::Unreadable => return bar(r, ruling, Code::H99),
            Guard::Unknown(name) => return waiting::wait(worker, r, ruling, name),
            Guard::This(ruled) => ruled,
        };
        let Some(gate) = &ruled.gate else {
            return go_on(r, ruling);
        };
        let seen = Seen::new(r, &ruling.name, &ruled.app);
        let look = gate.policy.look(&seen);
        // Of where it is from nobody else was asked, and that may be new.
        if let Some(outcome) = ruling.outcome.take()
            && look != Look::Elsewhere
        {
            return hear(r, ruling, &ruled, outcome);
        }
        let credential = match look {
            Look::Exempt => return pass(r, ruling, gate, None),
            Look::Missing => return turn_away(r, ruling, &ruled, (Code::AuthMissing, 0)),
            Look::Elsewhere => return turn_away(r, ruling, &ruled, (Code::AuthDenied, 0)),
            Look::Malformed => return turn_away(r, ruling, &ruled, (Code::AuthWrong, 0)),
            Look::Ask(credential) => credential,
        };
        let request = match &gate.policy.authorizer {
            Some(authorizer) => match shown(r, &seen, authorizer) {
                None => return turn_away(r, ruling, &ruled, (Code::AuthDenied, 0)),
                shown => shown,
            },
            None => None,
        };
        let message = Authenticate {
            app: (*ruled.app).into(),
            credential: credential.into(),
            client: address(seen.client()),
            request,
            ..Default::default()
        };
        let (key, known) = {
            let verdicts = worker.verdicts.borrow();
            let key = verdicts.key(&gate.mark, &message);
            (key, verdicts.look(key, crate::worker::now()))
        };
        match known {
            Some(passed) => pass(r, ruling, gate, Some(&passed)),
            None => {
                let ask = (key, &gate.mark, message);
                waiting::wait_for_verdict(worker, r, ruling, ask)
            }
        }
    }
}

/// A request as an authorizer is shown it. `None`: it is too long for that.
unsafe fn shown(
    r: *mut ngx_http_request_t,
    seen: &Seen<'_>,
    authorizer: &Authorizer,
) -> Option<ShownRequest> {
    // SAFETY: see `admit`.
    let target = unsafe { request::bytes((*r).unparsed_uri) };
    // Nginx lets no other bytes through.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut headers = Vec::new();
    let mut bytes = seen.method().len() + seen.host().len() + target.len();
    for name in &authorizer.shown {
        seen.has_header(&name.lower, &mut |value| {
            bytes += name.lower.len() + value.len();
            headers.push(ShownHeader {
                name: (*name.lower).into(),
                value: value.into(),
            });
            bytes > MAX_SHOWN
        });
    }
    (bytes <= MAX_SHOWN).then(|| ShownRequest {
        method: text(seen.method()),
        host: text(seen.host()),
        target: target.into(),
        headers,
    })
}

/// Whose document counts.
enum Guard {
    Nobody,
    This(Arc<Ruled>),
    Unreadable,
    /// It depends on what there is for this name.
    Unknown(Arc<str>),
}

fn guard_of(worker: &Worker, ruling: &Ruling) -> Guard {
    let own = || match &ruling.ruled {
        Some(ruled) if ruled.gate.is_some() => Guard::This(ruled.clone()),
        _ => Guard::Nobody,
    };
    let Some(app) = &ruling.app else { return own() };
    let look = worker.rulebook.borrow().look(app);
    match look {
        rulebook::Look::Unknown => Guard::Unknown(app.clone()),
        rulebook::Look::Known(Known::Unreadable) => Guard::Unreadable,
        rulebook::Look::Known(Known::Rules(ruled)) if ruled.gate.is_some() => Guard::This(ruled),
        rulebook::Look::Known(_) => own(),
    }
}

unsafe fn hear(
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
    ruled: &Ruled,
    outcome: Outcome,
) -> Option<ngx_int_t> {
    // SAFETY: see `admit`.
    unsafe {
        match (outcome, &ruled.gate) {
            (Outcome::Passed(passed), Some(gate)) => pass(r, ruling, gate, Some(&passed)),
            (Outcome::Passed(_), None) => go_on(r, ruling),
            (Outcome::Unheard, _) => bar(r, ruling, Code::H99),
            (
                Outcome::Refused {
                    verdict,
                    retry_after_s,
                },
                _,
            ) => {
                let why = (code::of_verdict(verdict), retry_after_s);
                turn_away(r, ruling, ruled, why)
            }
        }
    }
}

/// The dyno is told who it is, and by nobody else.
unsafe fn pass(
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
    gate: &Gate,
    passed: Option<&Passed>,
) -> Option<ngx_int_t> {
    // SAFETY: see `admit`.
    unsafe {
        let policy = &gate.policy;
        if r != (*r).main && changes_headers(r, policy) {
            log::error(
                "a subrequest came to an app that is told who its users are, and its main \
                 request did not: it shares its headers with that one, so it is refused",
            );
            return bar(r, ruling, Code::H99);
        }
        edit(r, ruling)?;
        if r == (*r).main {
            for name in policy.own_headers() {
                edit_in::strip(r, name)?;
            }
            // What is for the app that has the name is for no other one.
            let named = ruling.ruled.as_ref().and_then(|own| own.gate.as_ref());
            for policy in [policy].into_iter().chain(named.map(|gate| &gate.policy)) {
                hide(r, policy)?;
            }
        }
        if let Some(passed) = passed {
            for (name, value) in &passed.headers {
                // The sidecar has it from the same document.
                let Ok(name) = Name::parse_changeable(name) else {
                    continue;
                };
                edit_in::apply(r, Op::Set(&name, value))?;
            }
            ruling.user = Some(passed.user.clone()).filter(|user| !user.is_empty());
        }
        go_on(r, ruling)
    }
}

/// What a request says of who it is from, and a dyno need not know.
unsafe fn hide(r: *mut ngx_http_request_t, policy: &Policy) -> Option<()> {
    // SAFETY: see `admit`.
    unsafe {
        let key = has_key(r, policy);
        edit_in::remove_credentials(r, |value| policy.hides(value, key))?;
        match policy.hidden_header() {
            Some(name) => edit_in::strip(r, name),
            None => Some(()),
        }
    }
}

unsafe fn has_key(r: *mut ngx_http_request_t, policy: &Policy) -> bool {
    let Some(key) = &policy.key else { return false };
    // SAFETY: see `admit`.
    let value = unsafe { request::header_in(r, key.header.lower.as_bytes()) };
    value.is_some_and(|value| !value.trim_ascii().is_empty())
}

unsafe fn changes_headers(r: *mut ngx_http_request_t, policy: &Policy) -> bool {
    // SAFETY: see `admit`.
    let (credential, key) = unsafe {
        let credential = request::header_in(r, b"authorization");
        (credential, has_key(r, policy))
    };
    policy.own_headers().next().is_some()
        || credential.is_some_and(|value| policy.hides(value, key))
        || key && policy.hidden_header().is_some()
}

unsafe fn go_on(r: *mut ngx_http_request_t, ruling: &mut Ruling) -> Option<ngx_int_t> {
    ruling.stage = Stage::Done;
    // SAFETY: see `admit`.
    unsafe { edit(r, ruling)? };
    Some(NGX_DECLINED as ngx_int_t)
}

/// It does not go on, nor does it if it comes again.
///
/// # Safety
/// As [`admit`].
pub(super) unsafe fn bar(
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
    code: Code,
) -> Option<ngx_int_t> {
    ruling.stage = Stage::Barred(code);
    // None of its headers is for a dyno any more.
    drop(ruling.ops(Side::Request));
    let app = ruling.ruled.as_ref().map(|ruled| ruled.app.clone());
    // SAFETY: as the caller says.
    unsafe { refuse(r, ruling.name.clone(), app, code) }
}

/// The same, and the client is told what would help.
unsafe fn turn_away(
    r: *mut ngx_http_request_t,
    ruling: &mut Ruling,
    ruled: &Ruled,
    (code, retry_after_s): (Code, u32),
) -> Option<ngx_int_t> {
    // SAFETY: see `admit`.
    unsafe {
        let status = bar(r, ruling, code)?;
        if let (401, Some(gate)) = (code.status(), &ruled.gate) {
            let wrong = code == Code::AuthWrong;
            for challenge in gate.policy.challenges(&ruled.app, wrong) {
                edit_out::push(r, "WWW-Authenticate", challenge.as_bytes())?;
            }
        }
        if code == Code::AuthLimited {
            let after = retry_after_s.max(1).to_string();
            edit_out::push(r, "Retry-After", after.as_bytes())?;
        }
        Some(status)
    }
}

fn address(client: Option<IpAddr>) -> Vec<u8> {
    match client {
        Some(IpAddr::V4(four)) => four.octets().into(),
        Some(IpAddr::V6(six)) => six.octets().into(),
        None => Vec::new(),
    }
}

/// Whose credentials a request has.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn user(r: *mut ngx_http_request_t) -> Option<Box<str>> {
    // SAFETY: as the caller says.
    unsafe { Ruling::of(r) }.and_then(|ruling| ruling.user.clone())
}
