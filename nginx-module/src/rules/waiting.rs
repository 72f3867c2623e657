//! Requests that wait: for the rules of a name, or to hear whether credentials are right.

use std::sync::Arc;

use dynomesh_proto::v1::{AskRules, Authenticate, SidecarMessage, router_message, sidecar_message};
use ngx::ffi::{
    NGX_AGAIN, NGX_OK, ngx_handle_read_event, ngx_http_block_reading, ngx_http_core_run_phases,
    ngx_http_request_empty_handler, ngx_http_request_t, ngx_http_run_posted_requests,
    ngx_http_test_reading, ngx_int_t, ngx_post_event, ngx_posted_events,
};

use router::verdicts::Key;

use super::{Token, ruling::Stage};
use crate::{
    guard::guard_or,
    log, park,
    worker::{self, Worker},
};

/// Waits for the rules of a name.
///
/// # Safety
/// `r` is a live request, and the token its own.
pub(super) unsafe fn wait(
    worker: &Worker,
    r: *mut ngx_http_request_t,
    token: Token,
    name: Arc<str>,
) -> Option<ngx_int_t> {
    let now = worker::now();
    let ask = worker.rulebook.borrow_mut().wait(&name, token, now);
    if let Some(name) = ask {
        ask_for(worker, &name);
    }
    // SAFETY: as the caller says; the token leaves the rulebook before it goes.
    unsafe {
        (*token).waits_for = Some(name);
        hold(r)
    }
}

/// Waits to hear whether credentials are right.
///
/// # Safety
/// As [`wait`].
pub(super) unsafe fn wait_for_verdict(
    worker: &Worker,
    r: *mut ngx_http_request_t,
    token: Token,
    (key, mark, message): (Key, &[u8; 32], Authenticate),
) -> Option<ngx_int_t> {
    let who = (token, worker::now());
    let ask = worker.verdicts.borrow_mut().wait(key, mark, message, who);
    if let Some(ask) = ask {
        worker.session(|session| session.say(router_message::Kind::Authenticate(ask)));
    }
    // SAFETY: as the caller says; the token leaves the verdicts before it goes.
    unsafe {
        (*token).asked = Some(key);
        hold(r)
    }
}

/// As `limit_req` delays a request.
unsafe fn hold(r: *mut ngx_http_request_t) -> Option<ngx_int_t> {
    // SAFETY: see `hold_against`.
    unsafe {
        let read = (*(*r).connection).read;
        if (*read).ready() != 0 {
            ngx_post_event(read, &raw mut ngx_posted_events);
        } else if ngx_handle_read_event(read, 0) != NGX_OK as ngx_int_t {
            return None;
        }
        (*r).read_event_handler = Some(ngx_http_test_reading);
        (*r).write_event_handler = Some(ngx_http_request_empty_handler);
        Some(NGX_AGAIN as ngx_int_t)
    }
}

fn ask_for(worker: &Worker, name: &str) {
    let ask = router_message::Kind::AskRules(AskRules { name: name.into() });
    worker.session(|session| session.say(ask));
}

/// The sidecar says something about rules.
pub(crate) fn hear(worker: &Worker, message: &SidecarMessage) {
    match &message.kind {
        Some(sidecar_message::Kind::Welcome(welcome)) => {
            let names = worker.rulebook.borrow_mut().welcome(welcome.ruled);
            names.iter().for_each(|name| ask_for(worker, name));
            let asks = worker.verdicts.borrow_mut().welcome();
            for ask in asks {
                worker.session(|session| session.say(router_message::Kind::Authenticate(ask)));
            }
        }
        Some(sidecar_message::Kind::Authenticated(answer)) => {
            let mut verdicts = worker.verdicts.borrow_mut();
            verdicts.learn(answer.clone(), worker::now());
        }
        Some(sidecar_message::Kind::Recall(recall)) if !recall.names.is_empty() => {
            let mut rulebook = worker.rulebook.borrow_mut();
            rulebook.forget(&recall.names, recall.ruled);
        }
        Some(sidecar_message::Kind::Rules(rules)) => {
            if let Err(problem) = worker.rulebook.borrow_mut().learn(rules) {
                log::error(&format!(
                    "{problem}; its requests are refused until they are set again"
                ));
            }
        }
        _ => {}
    }
}

/// Lets requests go on that have waited for rules, one way or the other. Nginx may
/// end them in here.
pub(crate) fn go_on(worker: &Worker) {
    while let Some(token) = { worker.rulebook.borrow_mut().poll_ready() } {
        // SAFETY: a ruling leaves the rulebook before it goes.
        guard_or((), || unsafe { resume(token) });
    }
    while let Some((token, outcome)) = { worker.verdicts.borrow_mut().poll_ready() } {
        // SAFETY: likewise.
        guard_or((), || unsafe {
            (*token).outcome = Some(outcome);
            resume(token);
        });
    }
}

/// Somebody need not wait any more.
pub(crate) fn has_ready(worker: &Worker) -> bool {
    worker.rulebook.borrow().has_ready() || worker.verdicts.borrow().has_ready()
}

/// Refuses requests that have waited too long for a link.
pub(crate) fn expire(worker: &Worker) {
    worker.verdicts.borrow_mut().expire(worker::now());
    go_on(worker);
    while let Some(token) = { worker.rulebook.borrow_mut().poll_expired(worker::now()) } {
        // SAFETY: as above.
        guard_or((), || unsafe {
            (*token).stage = Stage::Expired;
            resume(token);
        });
    }
}

unsafe fn resume(token: Token) {
    // SAFETY: the request waits, so it is live; the ruling is not used any more once
    // Nginx runs on.
    unsafe {
        let r = (*token).request;
        (*token).waits_for = None;
        (*token).asked = None;
        let client = (*r).connection;
        park::set_log_request(r);
        (*r).read_event_handler = Some(ngx_http_block_reading);
        (*r).write_event_handler = Some(ngx_http_core_run_phases);
        ngx_http_core_run_phases(r);
        ngx_http_run_posted_requests(client);
    }
}
