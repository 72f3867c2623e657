//! A request has ended that an operator looks at.

use std::ptr;

use dynomesh_proto::v1::TappedRequest;
use ngx::ffi::{
    ngx_array_t, ngx_cached_time, ngx_http_request_t, ngx_http_upstream_state_t, ngx_msec_t,
    ngx_time_t,
};
use router::{
    code::Code,
    tally::Ended,
    tap::{self, Traits},
};

use crate::{
    checkout::Checkout,
    request,
    worker::{self, Worker},
};

/// Bytes of a method that are told: no real one has more.
const MOST_METHOD: usize = 32;

impl Worker {
    /// Tells of the request, if somebody wants to know.
    ///
    /// # Safety
    /// The checkout's request is still in memory.
    pub(crate) unsafe fn tap(&self, checkout: &Checkout, ended: &Ended<'_>) {
        if !self.session_only(|session| session.is_tapped()) {
            return;
        }
        let lease = checkout.lease();
        let traits = Traits {
            app: ended.app,
            dyno: lease.map_or("", |lease| &lease.dyno.name),
            ask: lease.and(checkout.answer.as_ref()).map_or(0, |it| it.ask),
            status: ended.status,
            error: ended.code.map_or("", Code::name),
            // SAFETY: as the caller says.
            target: unsafe { target(checkout.request) },
            // SAFETY: as the caller says.
            total_ms: unsafe { age(checkout.request) },
        };
        let taps = self.session_only(|session| session.who_taps(&traits, worker::now()));
        if taps.is_empty() {
            return;
        }
        // SAFETY: as the caller says.
        let mut request = unsafe { told(checkout, ended) };
        request.taps = taps;
        // It is sent with what else nobody waits for.
        self.session(|session| session.tell_tapped(request, worker::now()));
    }
}

/// What is told of a request.
///
/// # Safety
/// The checkout's request is still in memory.
pub(crate) unsafe fn told(checkout: &Checkout, ended: &Ended<'_>) -> TappedRequest {
    // SAFETY: as the caller says.
    let (mut request, total) = unsafe { (seen(checkout), age(checkout.request)) };
    request.app = ended.app.into();
    request.status = ended.status.into();
    request.error = ended.code.map_or("", Code::name).into();
    request.total_ms = millis(total);
    (request.bytes_received, request.bytes_sent) = ended.bytes;
    request
}

/// What is known of it besides.
unsafe fn seen(checkout: &Checkout) -> TappedRequest {
    let r = checkout.request;
    let mut seen = TappedRequest {
        attempts: checkout.attempts,
        wait_ms: millis(checkout.waited),
        ..TappedRequest::default()
    };
    // SAFETY: as the caller says; what the client sent is there until the memory of
    // its request goes.
    unsafe {
        let method = request::bytes((*r).method_name);
        let method = method.get(..MOST_METHOD).unwrap_or(method);
        seen.method = String::from_utf8_lossy(method).into();
        seen.path = tap::path(target(r));
        let now = time();
        seen.ended_ms = now.sec as u64 * 1_000 + now.msec as u64;
    }
    let Some(answer) = &checkout.answer else {
        return seen;
    };
    seen.queue_ms = answer.queue_wait_ms;
    if let Some(lease) = answer.lease() {
        seen.dyno.clone_from(&lease.dyno.name);
        seen.instance = lease.dyno.instance.to_string();
        seen.lease = worker::get().session_only(|session| session.lease_name(answer.ask));
        seen.ask = answer.ask;
        seen.set_lease_kind(answer.kind);
        // SAFETY: as the caller says.
        if let Some(state) = unsafe { last_state((*r).upstream_states) } {
            seen.connect_ms = known(state.connect_time);
            seen.first_byte_ms = known(state.header_time);
            seen.response_ms = known(state.response_time);
        }
    }
    seen
}

/// What was asked for. A subrequest has its own.
unsafe fn target<'a>(r: *const ngx_http_request_t) -> &'a [u8] {
    // SAFETY: as the caller says.
    unsafe {
        match ptr::eq(r, (*r).main) {
            true => request::bytes((*r).unparsed_uri),
            false => request::bytes((*r).uri),
        }
    }
}

/// Of the last attempt.
unsafe fn last_state<'a>(states: *const ngx_array_t) -> Option<&'a ngx_http_upstream_state_t> {
    // SAFETY: an array of Nginx's, which lives as long as the request.
    unsafe {
        let states = states.as_ref()?;
        let last = states.nelts.checked_sub(1)?;
        states
            .elts
            .cast::<ngx_http_upstream_state_t>()
            .add(last)
            .as_ref()
    }
}

/// Nginx has another number for what did not happen.
fn known(time: ngx_msec_t) -> Option<u32> {
    (time != ngx_msec_t::MAX).then(|| millis(time as u64))
}

fn millis(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

/// Milliseconds since the request began to come.
///
/// # Safety
/// The request is still in memory.
pub(crate) unsafe fn age(r: *const ngx_http_request_t) -> u64 {
    // SAFETY: as the caller says.
    let (sec, msec) = unsafe { ((*r).start_sec, (*r).start_msec) };
    let now = time();
    let age = (now.sec - sec) * 1_000 + now.msec as i64 - msec as i64;
    u64::try_from(age).unwrap_or(0)
}

/// As it was at the beginning of this turn of the loop.
fn time() -> ngx_time_t {
    // SAFETY: Nginx sets it before there are requests, and on this thread.
    unsafe { *ngx_cached_time.cast_const() }
}
