//! A dyno that still works on a request whose client has left.
//!
//! Stock Nginx closes the connection and counts the dyno as free; a dyno with a
//! limit would then get a second request. Here the rest of the response is read
//! and thrown away, and the lease ends with it.

use std::{mem, ptr};

use dynomesh_proto::v1::Outcome;
use ngx::{
    ffi::{
        NGX_AGAIN, NGX_OK, ngx_add_timer, ngx_close_connection, ngx_connection_t, ngx_del_timer,
        ngx_destroy_pool, ngx_event_t, ngx_handle_read_event, ngx_int_t, ngx_msec_t,
        ngx_peer_connection_t, ngx_ssl_shutdown,
    },
    log::ngx_cycle_log,
};
use router::{
    ending::{Ending, Next},
    session::Ticket,
};

use crate::{
    guard::guard_or,
    worker::{self, Worker},
};

/// Read at once, and reads in one turn of the loop.
const CHUNK: usize = 16 << 10;
const READS: usize = 16;

struct Linger {
    ticket: Ticket,
    ending: Ending,
    shut_down: bool,
}

/// Takes the peer's connection from Nginx, and the lease with it.
pub(crate) unsafe fn adopt(peer: &mut ngx_peer_connection_t, ticket: Ticket, ending: Ending) {
    let worker = worker::get();
    let c = mem::replace(&mut peer.connection, ptr::null_mut());
    // SAFETY: the connection is open and from here on only ours; its data is a
    // `Linger` until `finish`.
    unsafe {
        let mut linger = Box::new(Linger {
            ticket,
            ending,
            shut_down: false,
        });
        let first = linger.ending.begin();
        let log = ngx_cycle_log().as_ptr();
        (*c).data = Box::into_raw(linger).cast();
        (*c).log = log;
        if let Some(pool) = (*c).pool.as_mut() {
            pool.log = log;
        }
        for event in [(*c).read, (*c).write] {
            if (*event).timer_set() != 0 {
                ngx_del_timer(event);
            }
            (*event).set_timedout(0);
            (*event).set_delayed(0);
            (*event).log = log;
        }
        (*(*c).write).handler = Some(ignore);
        (*(*c).read).handler = Some(readable);
        worker.lingering.borrow_mut().insert(c);
        ngx_add_timer((*c).read, worker.linger_timeout.as_millis() as ngx_msec_t);
        if act(c, first) {
            drain(c);
        }
    }
}

/// At the end of the process: nobody reads on.
pub(crate) fn close_all(worker: &Worker) {
    while let Some(c) = { worker.lingering.borrow().first().copied() } {
        // SAFETY: it is in the set, so it is ours and open.
        unsafe { finish(c, Outcome::Failed) };
    }
}

unsafe extern "C" fn ignore(_: *mut ngx_event_t) {}

unsafe extern "C" fn readable(event: *mut ngx_event_t) {
    // SAFETY: set by `adopt` on a connection that is open until `finish`.
    guard_or((), || unsafe {
        let c = (*event).data.cast::<ngx_connection_t>();
        // The other: a worker that stops has waited as long as it may.
        if (*event).timedout() != 0 || (*c).close() != 0 {
            return finish(c, Outcome::Failed);
        }
        drain(c);
    });
}

unsafe fn drain(c: *mut ngx_connection_t) {
    let mut buffer = [0_u8; CHUNK];
    // SAFETY: see `adopt`.
    unsafe {
        for _ in 0..READS {
            let Some(recv) = (*c).recv else {
                return finish(c, Outcome::Failed);
            };
            let n = recv(c, buffer.as_mut_ptr(), buffer.len());
            if n == NGX_AGAIN as isize {
                break;
            }
            let Ok(n @ 1..) = usize::try_from(n) else {
                // It closed: it has stopped, one way or another.
                return finish(c, Outcome::Done);
            };
            let next = (*(*c).data.cast::<Linger>()).ending.feed(&buffer[..n]);
            if !act(c, next) {
                return;
            }
        }
        if ngx_handle_read_event((*c).read, 0) != NGX_OK as ngx_int_t {
            return finish(c, Outcome::Failed);
        }
        if (*(*c).read).ready() != 0 {
            // More is there: after everybody else had a turn.
            ngx::ffi::ngx_post_event((*c).read, &raw mut ngx::ffi::ngx_posted_next_events);
        }
    }
}

/// Whether to read on.
unsafe fn act(c: *mut ngx_connection_t, next: Next) -> bool {
    // SAFETY: see `adopt`.
    unsafe {
        match next {
            Next::Read => true,
            Next::Finished => {
                finish(c, Outcome::Done);
                false
            }
            Next::ShutDown => {
                let linger = &mut *(*c).data.cast::<Linger>();
                if !mem::replace(&mut linger.shut_down, true) {
                    libc::shutdown((*c).fd, libc::SHUT_WR);
                }
                true
            }
        }
    }
}

unsafe fn finish(c: *mut ngx_connection_t, outcome: Outcome) {
    let worker = worker::get();
    worker.lingering.borrow_mut().remove(&c);
    // SAFETY: see `adopt`; nothing uses the connection after this.
    unsafe {
        let linger = Box::from_raw((*c).data.cast::<Linger>());
        worker.checkin(linger.ticket, outcome);
        close(c);
    }
}

/// Closes a connection to a dyno at once.
pub(crate) unsafe fn close(c: *mut ngx_connection_t) {
    // SAFETY: the connection is open, and the caller's.
    unsafe {
        let pool = (*c).pool;
        if let Some(ssl) = (*c).ssl.as_mut() {
            // Nothing is said or waited for; this frees what TLS has.
            ssl.set_no_wait_shutdown(1);
            ssl.set_no_send_shutdown(1);
            ngx_ssl_shutdown(c);
        }
        ngx_close_connection(c);
        if !pool.is_null() {
            ngx_destroy_pool(pool);
        }
    }
}
