//! A request has ended: it is counted, for the operators.

use std::time::Duration;

use ngx::{async_::sleep, ffi::ngx_http_request_t};
use router::tally::Ended;

use crate::{
    checkout::Checkout,
    executor,
    worker::{self, Worker},
};

/// How often the sidecar is told.
const EVERY: Duration = Duration::from_secs(1);

/// Counts a request whose memory is about to go. One that went on elsewhere (an
/// internal redirect) is counted there.
///
/// # Safety
/// The checkout's request is still in memory.
pub(crate) unsafe fn count(checkout: &Checkout) {
    if checkout.superseded {
        return;
    }
    let r = checkout.request;
    let answer = checkout.answer.as_ref();
    let took = checkout
        .lease()
        .and(answer)
        .map(|answer| (answer.queue_wait_ms.into(), checkout.served));
    let ended = Ended {
        app: checkout.app(),
        // SAFETY: as the caller says.
        status: unsafe { status(r) },
        code: checkout.code,
        took,
        // SAFETY: as the caller says.
        bytes: unsafe { bytes(r) },
    };
    let worker = worker::get();
    worker.count(&ended);
    // SAFETY: as the caller says.
    unsafe {
        worker.tap(checkout, &ended);
        worker.trace(checkout, &ended);
    }
}

/// As in the access log.
unsafe fn status(r: *const ngx_http_request_t) -> u16 {
    // SAFETY: see `count`.
    let status = unsafe {
        match (*r).err_status {
            0 => (*r).headers_out.status,
            status => status,
        }
    };
    u16::try_from(status).unwrap_or(0)
}

/// From the client and to it. A subrequest has no client.
unsafe fn bytes(r: *mut ngx_http_request_t) -> (u64, u64) {
    // SAFETY: see `count`; a client's connection outlasts its requests.
    unsafe {
        if r != (*r).main {
            return (0, 0);
        }
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        (size((*r).request_length), size((*(*r).connection).sent))
    }
}

impl Worker {
    fn count(&self, ended: &Ended<'_>) {
        self.session_only(|session| session.count(ended));
        if !self.telling_tally.replace(true) {
            executor::spawn(tell()).detach();
        }
    }
}

/// Tells while there is something to tell.
async fn tell() {
    let worker = worker::get();
    loop {
        sleep(EVERY).await;
        if !worker.session(|session| session.tell_tally(false)) {
            return worker.telling_tally.set(false);
        }
    }
}
