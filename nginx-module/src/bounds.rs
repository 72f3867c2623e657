//! How large an app lets a request be, and how long a response may take.
//!
//! A length that is announced is looked at before anything else is done with the
//! request; what comes in chunks is counted as Nginx passes it on, in a filter of request
//! bodies. For time there is a timer from when the first dyno has the request, and at
//! its end the connection to the dyno has timed out, as far as Nginx can tell.

use std::time::Duration;

use ngx::{
    async_::sleep,
    ffi::{
        NGX_OK, ngx_chain_t, ngx_http_request_body_filter_pt, ngx_http_request_t,
        ngx_http_top_request_body_filter, ngx_int_t,
    },
};
use router::code::Code;

use crate::{
    checkout::{self, Checkout, Stage, Token},
    executor, fault,
    guard::{guard, guard_or},
    rules::{self, Held},
    worker,
};

/// Until Nginx is done with what it is in the middle of.
const A_MOMENT: Duration = Duration::from_millis(1);

static mut NEXT: ngx_http_request_body_filter_pt = None;

/// Puts the filter in front of the others.
pub(crate) unsafe fn install() {
    // SAFETY: Nginx reads its configuration in one thread, before any request.
    unsafe {
        NEXT = ngx_http_top_request_body_filter;
        ngx_http_top_request_body_filter = Some(body_filter);
    }
}

/// A request is about to go on: the status that it gets instead, if it is too large by
/// what it says of itself.
///
/// # Safety
/// `r` is a live main request.
pub(crate) unsafe fn check(r: *mut ngx_http_request_t, held: &Held) -> Option<ngx_int_t> {
    // SAFETY: as the caller says.
    unsafe {
        let length = u64::try_from((*r).headers_in.content_length_n).unwrap_or(0);
        let most = held.handling.max_body_bytes;
        (most > 0 && length > most).then(|| refuse(r, held))
    }
}

/// The body as it comes.
unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request, after `install`.
    guard(|| unsafe {
        fault::at("request body filter");
        if r == (*r).main
            && let Some(held) = rules::held(r)
            && held.handling.max_body_bytes > 0
        {
            held.received = held.received.saturating_add(length(chain));
            if held.received > held.handling.max_body_bytes {
                return refuse(r, held);
            }
        }
        NEXT.map_or(NGX_OK as ngx_int_t, |next| next(r, chain))
    })
}

unsafe fn length(mut chain: *mut ngx_chain_t) -> u64 {
    let mut sum = 0;
    // SAFETY: a chain of Nginx's, ended by null; bodies come in memory.
    unsafe {
        while let Some(link) = chain.as_ref() {
            let here = (*link.buf).last.offset_from((*link.buf).pos);
            sum += u64::try_from(here).unwrap_or(0);
            chain = link.next;
        }
    }
    sum
}

/// The header filter says why. A dyno may have a part of it already.
unsafe fn refuse(r: *mut ngx_http_request_t, held: &Held) -> ngx_int_t {
    // SAFETY: see `check`.
    unsafe {
        let checkout = match Checkout::of(r) {
            Some(checkout) => Some(checkout),
            None => Checkout::attach(r, held.app.clone()).and_then(|token| token.as_mut()),
        };
        if let Some(checkout) = checkout {
            checkout.code = Some(Code::TooLarge);
            checkout.ended = checkout.code;
            checkout.rare().app_of_rules = Some(held.app.clone());
        }
        Code::TooLarge.status() as ngx_int_t
    }
}

/// A dyno has the request: from the first one on time is counted.
///
/// # Safety
/// The checkout is of a live request.
pub(crate) unsafe fn start_clock(checkout: &mut Checkout) {
    // SAFETY: as the caller says.
    let held = unsafe { rules::held(checkout.request) };
    let time = held.map_or(0, |held| held.handling.max_time_ms);
    if time == 0 || checkout.rare().clock.is_some() {
        return;
    }
    let token: Token = checkout;
    checkout.rare().clock = Some(executor::spawn(async move {
        sleep(Duration::from_millis(time.into())).await;
        while worker::get().is_flushing() {
            sleep(A_MOMENT).await;
        }
        // SAFETY: a checkout takes its clock along when it goes.
        guard_or((), || unsafe { run_out(token) });
    }));
}

/// Ends what still is with a dyno. An upgraded connection has no response that could be
/// complete.
unsafe fn run_out(token: Token) {
    // SAFETY: see `start_clock`; the checkout is not used any more once Nginx runs on.
    unsafe {
        fault::at("run out");
        let checkout = &mut *token;
        let u = (*checkout.request).upstream;
        match checkout.stage {
            Stage::Asking(_) => {
                checkout.give_up();
                checkout::refuse(token, Code::H12);
            }
            Stage::Leased(_) if (*u).upgrade() == 0 => {
                let Some(c) = (*u).peer.connection.as_mut() else {
                    return;
                };
                checkout.ended = Some(match (*u).header_sent() {
                    0 => Code::H12,
                    _ => Code::H15,
                });
                (*c.read).set_delayed(0);
                (*c.read).set_timedout(1);
                if let Some(handler) = (*c.read).handler {
                    handler(c.read);
                }
            }
            _ => {}
        }
    }
}
