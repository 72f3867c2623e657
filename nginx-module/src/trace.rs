//! A request is in a trace: OpenTelemetry's, as W3C has it in `traceparent`.
//!
//! It is decided when its rules have changed what they want of its headers, before
//! Nginx makes the request to the dyno: what it says of a trace then counts, and the
//! dyno is told of its place in it. What becomes of the request is told at its end.

use std::{ffi::c_void, mem, ptr};

use dynomesh_proto::v1::TracedRequest;
use ngx::ffi::{
    NGX_DECLINED, NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_phases_NGX_HTTP_PREACCESS_PHASE,
    ngx_http_request_t, ngx_int_t, ngx_pool_cleanup_add, ngx_str_t, ngx_uint_t,
};
use router::{
    tally::Ended,
    trace::{Context, Parent},
};
use rules::Name;

use crate::{
    checkout::Checkout,
    conf, fault,
    guard::guard,
    phase, request,
    rules::{add_header, request_id, strip_header},
    tap,
    worker::{self, Worker},
};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// A request that is in a trace. Times are nanoseconds since 1970; 0: not yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trace {
    pub(crate) context: Context,
    /// Where it was sent, as its client wrote it: Nginx forgets that before the end.
    host: ngx_str_t,
    began: u64,
    asked: u64,
    led: u64,
    freed: u64,
}

impl Trace {
    /// It wants a dyno.
    pub(crate) fn asks(&mut self) {
        if self.asked == 0 {
            self.asked = now();
        }
    }

    /// It has one.
    pub(crate) fn is_led(&mut self) {
        self.asks();
        if self.led == 0 {
            self.led = now();
        }
    }

    /// It has none any more.
    pub(crate) fn is_freed(&mut self) {
        self.freed = now();
    }
}

/// What was decided about a request.
struct Kept {
    request: *mut ngx_http_request_t,
    trace: Option<Trace>,
}

/// Has every request looked at after its rules were.
pub(crate) unsafe fn install(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: called by Nginx at the end of the http block.
    match unsafe { phase::add(cf, ngx_http_phases_NGX_HTTP_PREACCESS_PHASE, join) } {
        Some(()) => NGX_OK as ngx_int_t,
        None => NGX_ERROR as ngx_int_t,
    }
}

/// A request for the mesh takes its place in a trace.
unsafe extern "C" fn join(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request.
    guard(|| unsafe {
        let worker = worker::get();
        if !is_looked_at(worker, r) || !conf::rules::pass_to_mesh(r) {
            return NGX_DECLINED as ngx_int_t;
        }
        fault::at("trace");
        match kept(r).is_some() || tell_dyno(worker, r).is_some() {
            true => NGX_DECLINED as ngx_int_t,
            false => NGX_ERROR as ngx_int_t,
        }
    })
}

/// A subrequest shares its headers with its main request, and so its place.
unsafe fn is_looked_at(worker: &Worker, r: *mut ngx_http_request_t) -> bool {
    // SAFETY: the caller has a live request.
    worker.session_only(|session| session.is_tracing()) && unsafe { r == (*r).main }
}

/// `None`: no memory.
unsafe fn tell_dyno(worker: &Worker, r: *mut ngx_http_request_t) -> Option<()> {
    // SAFETY: see `join`. What dynos might take for these headers is removed, too.
    unsafe {
        let Some(trace) = decide(worker, r)? else {
            return Some(());
        };
        // What goes with a trace that has ended here is of no use.
        let begins = trace.context.parent.is_none();
        let names = [(TRACEPARENT, true), (TRACESTATE, begins)];
        for (name, _) in names.into_iter().filter(|(_, strip)| *strip) {
            strip_header(r, &Name::parse_changeable(name).ok()?)?;
        }
        let name = Name::parse_changeable(TRACEPARENT).ok()?;
        add_header(r, &name, trace.context.traceparent().as_bytes())
    }
}

/// Whether the request is in a trace. Asked once, or chance had two chances. `None`: no
/// memory.
unsafe fn decide(worker: &Worker, r: *mut ngx_http_request_t) -> Option<Option<Trace>> {
    // SAFETY: the caller has a live request. The cleanup's data is as large as asked for,
    // aligned for anything, and needs none.
    unsafe {
        let parent = said(r);
        let chance = rand::random();
        let traced = worker.session(|session| {
            let now = worker::now();
            session.traces(parent.as_ref(), chance, now)
        });
        let trace = traced.then(|| Trace {
            context: Context::new(parent, rand::random()),
            host: host(r),
            began: now().saturating_sub(tap::age(r) * 1_000_000),
            asked: 0,
            led: 0,
            freed: 0,
        });
        let cleanup = ngx_pool_cleanup_add((*r).pool, mem::size_of::<Kept>());
        if cleanup.is_null() {
            return None;
        }
        (*cleanup)
            .data
            .cast::<Kept>()
            .write(Kept { request: r, trace });
        (*cleanup).handler = Some(forget);
        Some(trace)
    }
}

/// What its caller says. Who says it twice says nothing.
unsafe fn said(r: *mut ngx_http_request_t) -> Option<Parent> {
    // SAFETY: the caller has a live request.
    unsafe {
        let list = &raw mut (*r).headers_in.headers;
        let mut all = request::headers(list).filter(|header| {
            request::bytes(header.key).eq_ignore_ascii_case(TRACEPARENT.as_bytes())
        });
        let one = all.next().filter(|_| all.next().is_none())?;
        let parent = Parent::parse(request::bytes(one.value))?;
        match request_id(r) {
            Some(name) => Some(parent.of_request(&name)),
            None => Some(parent),
        }
    }
}

/// There is nothing to be done. It marks what was kept, so no other function may be the
/// same.
unsafe extern "C" fn forget(data: *mut c_void) {
    // SAFETY: the pool calls it with what `decide` made.
    unsafe { (*data.cast::<Kept>()).request = ptr::null_mut() };
}

/// What was decided, if it was.
unsafe fn kept(r: *mut ngx_http_request_t) -> Option<Option<Trace>> {
    // SAFETY: the caller has a live request; cleanups with our handler hold this only.
    unsafe {
        let mut all = request::kept::<Kept>(r, forget);
        all.find(|kept| (**kept).request == r)
            .map(|kept| (*kept).trace)
    }
}

/// The trace that a request is in. Whoever was refused before `join` has one, too.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn of(r: *mut ngx_http_request_t) -> Option<Trace> {
    let worker = worker::try_get()?;
    // SAFETY: as the caller says.
    unsafe {
        if !is_looked_at(worker, r) {
            return None;
        }
        match kept(r) {
            Some(trace) => trace,
            None => decide(worker, r)?,
        }
    }
}

impl Worker {
    /// Tells of the request, if it is in a trace.
    ///
    /// # Safety
    /// The checkout's request is still in memory.
    pub(crate) unsafe fn trace(&self, checkout: &Checkout, ended: &Ended<'_>) {
        let Some(trace) = &checkout.trace else { return };
        let context = &trace.context;
        let r = checkout.request;
        // SAFETY: as the caller says; a client's connection outlasts its requests.
        let traced = unsafe {
            TracedRequest {
                request: Some(tap::told(checkout, ended)),
                trace: context.trace.into(),
                parent: context.parent.map_or_else(Vec::new, Into::into),
                span: context.span.into(),
                dyno_span: context.dyno_span.into(),
                flags: context.flags.into(),
                began_ns: trace.began,
                ended_ns: now(),
                asked_ns: trace.asked,
                led_ns: trace.led,
                freed_ns: trace.freed,
                scheme: match (*(*r).connection).ssl.is_null() {
                    true => "http".into(),
                    false => "https".into(),
                },
                host: String::from_utf8_lossy(request::bytes(trace.host)).into(),
                version: version((*r).http_version),
            }
        };
        // It is sent with what else nobody waits for.
        self.session(|session| session.tell_traced(traced, worker::now()));
    }
}

/// What the client sent is there until the memory of its request goes.
unsafe fn host(r: *mut ngx_http_request_t) -> ngx_str_t {
    // SAFETY: the caller has a live request.
    let whole = unsafe { request::authority(r) }.map_or(&b""[..], |authority| authority.whole);
    ngx_str_t {
        len: whole.len(),
        data: whole.as_ptr().cast_mut(),
    }
}

/// Nginx has 1001 for 1.1.
fn version(number: ngx_uint_t) -> String {
    match (number / 1_000, number % 1_000) {
        (major, 0) if major > 1 => major.to_string(),
        (major, minor) => format!("{major}.{minor}"),
    }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the kernel writes the time there, and nothing else.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
