//! A request waits for its dyno as if a connection took its time.
//!
//! Nginx has no way for a balancer to say "later". It has one for a connection
//! that is not made yet. So a parked request has a connection that is none (no
//! descriptor, only what Nginx looks at), and a client that leaves, a worker
//! that stops, HTTP/2 and subrequests all work as for a slow connection. When
//! the answer comes, a real connection takes its place.

use std::{
    mem::{self, MaybeUninit},
    ptr,
};

use ngx::{
    ffi::{
        NGX_AGAIN, NGX_DECLINED, NGX_DONE, NGX_OK, ngx_add_timer, ngx_connection_t,
        ngx_connection_tcp_nopush_e_NGX_TCP_NOPUSH_DISABLED as NGX_TCP_NOPUSH_DISABLED,
        ngx_create_pool, ngx_current_msec, ngx_del_timer, ngx_event_connect_peer,
        ngx_event_handler_pt, ngx_event_t, ngx_http_log_ctx_t, ngx_http_request_t,
        ngx_http_run_posted_requests, ngx_http_upstream_t, ngx_int_t, ngx_msec_t,
        ngx_peer_connection_t, ngx_str_t, sockaddr,
    },
    ngx_string,
};
use router::code::Code;

use crate::{
    attempt,
    checkout::{Checkout, Stage, Token},
    fault,
    peer::conf,
    refuse::refuse,
    worker,
};
use dynomesh_proto::v1::Outcome;

/// The sidecar ends every wait; this is only for Nginx, which wants an end.
const LONGEST_WAIT: ngx_msec_t = 24 * 3600 * 1000;

/// What is called for a readable and a writable connection.
type Handlers = (ngx_event_handler_pt, ngx_event_handler_pt);

/// What a request that waits is connected to, in logs. Nginx keeps pointers to
/// it for as long as the request lives.
static NAME: Name = Name(ngx_string!("mesh"));

struct Name(ngx_str_t);

// SAFETY: nobody writes to it.
unsafe impl Sync for Name {}

/// The connection that is none.
pub(crate) struct Parked {
    connection: ngx_connection_t,
    read: ngx_event_t,
    write: ngx_event_t,
    /// Something to point to; an empty address.
    address: libc::sockaddr,
}

impl Parked {
    /// Nginx has no pointer to it any more.
    pub(crate) fn disarm(&mut self) {
        if self.write.timer_set() != 0 {
            // SAFETY: it is set.
            unsafe { ngx_del_timer(&raw mut self.write) };
        }
    }
}

/// Makes Nginx believe that a connection is being made.
pub(crate) unsafe fn park(checkout: &mut Checkout, peer: &mut ngx_peer_connection_t) {
    let r = checkout.request;
    // SAFETY: all zeros is Nginx's own way to make what is in there.
    let zeroed = unsafe { mem::zeroed() };
    let parked = Box::write(worker::get().parked.take(), zeroed);
    let parked = &mut **checkout.parked.insert(parked);
    // SAFETY: the request is live; the connection stays where it is until `leave`.
    unsafe {
        let log = (*(*r).connection).log;
        parked.connection.fd = -1;
        parked.connection.pool = (*r).pool;
        parked.connection.log = log;
        parked.connection.read = &raw mut parked.read;
        parked.connection.write = &raw mut parked.write;
        parked.write.set_write(1);
        for event in [&mut parked.read, &mut parked.write] {
            event.data = (&raw mut parked.connection).cast();
            event.log = log;
        }
        peer.name = ptr::addr_of!(NAME.0).cast_mut();
        peer.sockaddr = (&raw mut parked.address).cast::<sockaddr>();
        peer.socklen = mem::size_of::<libc::sa_family_t>() as _;
        peer.connection = &raw mut parked.connection;
        conf::own(checkout).connect_timeout = LONGEST_WAIT;
    }
}

/// The end of the waiting: Nginx has no connection again. What it did to the
/// one that was none is returned.
pub(crate) unsafe fn leave(checkout: &mut Checkout, peer: &mut ngx_peer_connection_t) -> Handlers {
    peer.connection = ptr::null_mut();
    peer.sockaddr = ptr::null_mut();
    let Some(mut parked) = checkout.parked.take() else {
        return (None, None);
    };
    parked.disarm();
    let handlers = (parked.read.handler, parked.write.handler);
    // SAFETY: as large, and nothing in there has to be dropped.
    let room = unsafe { Box::from_raw(Box::into_raw(parked).cast::<MaybeUninit<Parked>>()) };
    worker::get().parked.give(room);
    handlers
}

/// The request has a route: connects to the dyno as Nginx would have. May end
/// the request.
pub(crate) unsafe fn resume(token: Token) {
    // SAFETY: the request is parked, so it and its upstream are live; the
    // checkout is not used any more once Nginx runs on.
    unsafe {
        let checkout = &mut *token;
        let r = checkout.request;
        let u = (*r).upstream;
        let client = (*r).connection;
        set_log_request(r);
        let handlers = leave(checkout, &mut (*u).peer);
        checkout.code = None;
        // The wait is the mesh's, not the dyno's.
        if checkout.rare.as_ref().is_none_or(|it| it.tried.is_empty()) {
            (*u).peer.start_time = ngx_current_msec;
        }
        (*u).start_time = ngx_current_msec;
        let connect_timeout = (*checkout.configured).connect_timeout;
        conf::own(checkout).connect_timeout = connect_timeout;
        let result = ngx_event_connect_peer(&raw mut (*u).peer);
        (*(*u).state).peer = (*u).peer.name;
        const OK: ngx_int_t = NGX_OK as ngx_int_t;
        const AGAIN: ngx_int_t = NGX_AGAIN as ngx_int_t;
        const DONE: ngx_int_t = NGX_DONE as ngx_int_t;
        const DECLINED: ngx_int_t = NGX_DECLINED as ngx_int_t;
        match result {
            OK | AGAIN | DONE => {
                attempt::watch_header(checkout, u);
                take_over(r, u, handlers);
                fault::at("resume");
                if result == AGAIN {
                    ngx_add_timer((*(*u).peer.connection).write, connect_timeout);
                } else if let Some(run) = (*u).write_event_handler {
                    run(r, u);
                }
                ngx_http_run_posted_requests(client);
            }
            DECLINED => refused(token, handlers),
            _ => refuse(token, Code::H99),
        }
    }
}

/// The dyno refused on the spot: the next one, without Nginx noticing.
unsafe fn refused(token: Token, (read, write): Handlers) {
    // SAFETY: see `resume`.
    unsafe {
        let checkout = &mut *token;
        let u = (*checkout.request).upstream;
        let peer = &mut (*u).peer;
        let Stage::Leased(ticket) = mem::take(&mut checkout.stage) else {
            return refuse(token, Code::H99);
        };
        worker::get().checkin(ticket, Outcome::Refused);
        checkout.failed();
        checkout.shun();
        checkout.code = Some(Code::H21);
        peer.tries = peer.tries.saturating_sub(1);
        if peer.tries == 0 || is_out_of_time(u, peer) {
            return refuse(token, Code::H21);
        }
        checkout.ask();
        park(checkout, peer);
        // Nginx did this itself the first time.
        (*(*peer.connection).read).handler = read;
        (*(*peer.connection).write).handler = write;
        (*peer.connection).data = checkout.request.cast();
        ngx_add_timer((*peer.connection).write, LONGEST_WAIT);
    }
}

/// `proxy_next_upstream_timeout` has passed.
unsafe fn is_out_of_time(u: *const ngx_http_upstream_t, peer: &ngx_peer_connection_t) -> bool {
    // SAFETY: see `resume`.
    unsafe {
        let limit = (*(*u).conf).next_upstream_timeout;
        limit > 0 && ngx_current_msec.wrapping_sub(peer.start_time) >= limit
    }
}

/// What Nginx does with a connection that it has just got, and did with the
/// parked one.
unsafe fn take_over(
    r: *mut ngx_http_request_t,
    u: *mut ngx_http_upstream_t,
    (read, write): Handlers,
) {
    // SAFETY: see `resume`; the connection is open.
    unsafe {
        let c = (*u).peer.connection;
        let client = (*r).connection;
        (*c).requests += 1;
        (*c).data = r.cast();
        (*(*c).write).handler = write;
        (*(*c).read).handler = read;
        (*c).set_sendfile((*c).sendfile() & (*client).sendfile());
        (*u).output.set_sendfile((*c).sendfile());
        if (*client).tcp_nopush() == NGX_TCP_NOPUSH_DISABLED as _ {
            (*c).set_tcp_nopush(NGX_TCP_NOPUSH_DISABLED as _);
        }
        (*c).log = (*client).log;
        if (*c).pool.is_null() {
            // Without one Nginx can do less with the connection, not nothing.
            (*c).pool = ngx_create_pool(128, (*client).log);
        }
        if let Some(pool) = (*c).pool.as_mut() {
            pool.log = (*c).log;
        }
        (*(*c).read).log = (*c).log;
        (*(*c).write).log = (*c).log;
        (*u).writer.connection = c;
    }
}

/// Log lines from here on are about this request (or subrequest).
pub(crate) unsafe fn set_log_request(r: *mut ngx_http_request_t) {
    // SAFETY: a client connection's log has this kind of data.
    unsafe {
        let context = (*(*(*r).connection).log).data.cast::<ngx_http_log_ctx_t>();
        if let Some(context) = context.as_mut() {
            context.current_request = r;
        }
    }
}
