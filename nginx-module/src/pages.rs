//! Pages of an app's own, for those of its requests that end in an error.
//!
//! Which page it is, is known when the response begins. If the sidecar has to be asked
//! for it, the response waits: its header and body are held back in the filters, and
//! Nginx goes on as if the client were slow to read.

use std::sync::Arc;

use dynomesh_proto::v1::{AskPages, SidecarMessage, router_message, sidecar_message};
use ngx::ffi::{
    ngx_hash_key, ngx_http_get_variable, ngx_http_request_t, ngx_http_run_posted_requests,
    ngx_str_t,
};
use router::{
    code::Code,
    page::{self, Facts, Page},
};

use crate::{
    checkout::{Body, Checkout, Token},
    guard::guard_or,
    park, request,
    worker::{self, Worker},
};

/// The body for this error must be asked for: says whether the request waits for it.
///
/// # Safety
/// `r` is a live request, whose response has not begun.
pub(crate) unsafe fn wait(r: *mut ngx_http_request_t, checkout: &mut Checkout) -> bool {
    // SAFETY: as the caller says. Nginx is to answer an error, so a body follows.
    let whole = unsafe { r == (*r).main && (*r).header_only() == 0 };
    let app = checkout.app();
    let worker = worker::get();
    if !whole || !worker.pagebook.borrow().is_worth_asking(app) {
        return false;
    }
    let app: Arc<str> = app.into();
    let token: Token = checkout;
    if worker.pagebook.borrow_mut().wait(&app, token) {
        let app = app.to_string();
        let ask = router_message::Kind::AskPages(AskPages { app });
        worker.session(|session| session.say(ask));
    }
    checkout.rare().body = Body::Waiting;
    true
}

/// The body for an error: the app's own, if it is known, or the mesh's.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn choose(r: *mut ngx_http_request_t, app: &str, code: Code) -> Page {
    // SAFETY: as the caller says.
    let accept = unsafe { request::header_in(r, b"accept") }.unwrap_or_default();
    let json = page::wants_json(accept);
    let pages = worker::get().pagebook.borrow().look(app);
    match pages.as_ref().and_then(|pages| pages.find(code, json)) {
        Some(own) => own.fill(&Facts {
            code,
            app,
            // SAFETY: as the caller says.
            request_id: unsafe { request_id(r) },
        }),
        None => page::render(code, json),
    }
}

unsafe fn request_id<'a>(r: *mut ngx_http_request_t) -> &'a str {
    // SAFETY: see `choose`; Nginx reads the name and no more, and the value lives as
    // long as the request.
    unsafe {
        let mut name = ngx::ngx_string!("request_id");
        let key = ngx_hash_key(name.data, name.len);
        let value = ngx_http_get_variable(r, &raw mut name, key);
        let value = value.as_ref().filter(|value| value.not_found() == 0);
        let value = value.map(|value| ngx_str_t {
            len: value.len() as usize,
            data: value.data,
        });
        str::from_utf8(request::bytes(value.unwrap_or_default())).unwrap_or_default()
    }
}

/// The sidecar says something about pages.
pub(crate) fn hear(worker: &Worker, message: &SidecarMessage) {
    let mut pagebook = worker.pagebook.borrow_mut();
    match &message.kind {
        Some(sidecar_message::Kind::Welcome(welcome)) => pagebook.welcome(welcome.paged),
        Some(sidecar_message::Kind::Recall(recall)) => {
            pagebook.note(recall.paged);
            if recall.pages {
                pagebook.forget(&recall.apps);
            }
        }
        Some(sidecar_message::Kind::Pages(pages)) => pagebook.learn(pages.clone()),
        _ => {}
    }
}

/// Lets responses go on that have waited for a page. Nginx may end the requests in
/// here.
pub(crate) fn go_on(worker: &Worker) {
    while let Some(token) = { worker.pagebook.borrow_mut().poll_ready() } {
        // SAFETY: a checkout leaves the pagebook before it goes.
        guard_or((), || unsafe { resume(token) });
    }
}

unsafe fn resume(token: Token) {
    // SAFETY: the response waits, so the request is live; the checkout is not used any
    // more once Nginx runs on.
    unsafe {
        (*token).rare().body = Body::Due;
        let r = (*token).request;
        let client = (*r).connection;
        park::set_log_request(r);
        if let Some(run) = (*r).write_event_handler {
            run(r);
        }
        ngx_http_run_posted_requests(client);
    }
}
