//! Nginx wants a server for a request: the callbacks of an upstream.

use std::{ffi::c_void, mem, ptr};

use dynomesh_proto::v1::Outcome;
use ngx::ffi::{
    NGX_AGAIN, NGX_ERROR, NGX_HTTP_UPSTREAM_FT_ERROR, NGX_HTTP_UPSTREAM_FT_HTTP_403,
    NGX_HTTP_UPSTREAM_FT_HTTP_404, NGX_HTTP_UPSTREAM_FT_HTTP_429, NGX_HTTP_UPSTREAM_FT_HTTP_500,
    NGX_HTTP_UPSTREAM_FT_HTTP_502, NGX_HTTP_UPSTREAM_FT_HTTP_503, NGX_HTTP_UPSTREAM_FT_HTTP_504,
    NGX_HTTP_UPSTREAM_FT_TIMEOUT, NGX_OK, ngx_http_request_t, ngx_http_upstream_srv_conf_t,
    ngx_int_t, ngx_peer_connection_t, ngx_uint_t,
};
use router::{client, code::Code, ending::Ending, failure, rulebook::Ruled, session::Ticket};

use crate::{
    attempt, bounds,
    checkout::{Checkout, Stage},
    fault,
    guard::{guard, guard_or},
    linger, log, park, request, rules, sticky, worker,
};

mod address;
pub(crate) mod conf;

/// Dynos that one request may try. Nginx lowers it by `proxy_next_upstream_tries`.
const MAX_TRIES: usize = 16;

/// A request comes to an upstream with `mesh`.
pub(crate) unsafe extern "C" fn init(
    r: *mut ngx_http_request_t,
    _: *mut ngx_http_upstream_srv_conf_t,
) -> ngx_int_t {
    // SAFETY: Nginx passes a live request with its upstream.
    guard(|| unsafe { prepare(r) }.unwrap_or(NGX_ERROR as ngx_int_t))
}

unsafe fn prepare(r: *mut ngx_http_request_t) -> Option<ngx_int_t> {
    // SAFETY: as the caller says.
    unsafe {
        let authority = request::authority(r);
        let host = authority.map_or(&[][..], |authority| authority.host);
        let found = rules::found(r);
        let name = match &found {
            Some(found) => found.name.clone(),
            None => worker::get().name(host),
        };
        let code = match authority {
            None => Some(Code::H26),
            Some(_) => rules::is_overlooked(r, &name).then(|| {
                log::error(
                    "a request came to the mesh from a location that does not name its upstream; \
                     say \"mesh_rules on\" there, or \"off\" if rules are not for it",
                );
                Code::H99
            }),
        };
        let checkout = Checkout::attach(r, name)?;
        (*checkout).code = code;
        if let Some(found) = found
            && let Some(ruled) = found.ruled
        {
            if let Some(client) = client(r, ruled) {
                (*checkout).rare().client = client;
            }
            if found.is_own {
                sticky::prefer(r, ruled, &mut *checkout);
            }
        }
        conf::share(r, checkout);
        let peer = &mut (*(*r).upstream).peer;
        peer.data = checkout.cast();
        peer.get = Some(get);
        peer.free = Some(free);
        // Over TLS, Nginx calls these unseen.
        peer.set_session = Some(set_session);
        peer.save_session = Some(save_session);
        peer.tries = MAX_TRIES;
        Some(NGX_OK as ngx_int_t)
    }
}

/// Which client a request is from, if its app wants to know.
unsafe fn client(r: *mut ngx_http_request_t, ruled: &Ruled) -> Option<u64> {
    let by_client = ruled.handling.by_client;
    // SAFETY: as the caller says.
    let address = by_client.then(|| unsafe { request::client(r) }).flatten();
    address.map(client::number)
}

/// A new connection to a dyno begins with no TLS session of an earlier one.
unsafe extern "C" fn set_session(_: *mut ngx_peer_connection_t, _: *mut c_void) -> ngx_int_t {
    NGX_OK as ngx_int_t
}

unsafe extern "C" fn save_session(_: *mut ngx_peer_connection_t, _: *mut c_void) {}

/// Nginx wants to connect. The first time for each attempt the request is
/// parked; when its answer is there, `park::resume` makes Nginx ask again.
unsafe extern "C" fn get(peer: *mut ngx_peer_connection_t, data: *mut c_void) -> ngx_int_t {
    // SAFETY: Nginx passes what `prepare` gave it.
    let result = guard(|| unsafe {
        fault::at("get");
        let checkout = &mut *data.cast::<Checkout>();
        let peer = &mut *peer;
        peer.connection = ptr::null_mut();
        peer.set_cached(0);
        if !matches!(checkout.stage, Stage::Routed(_)) {
            checkout.give_up();
            let first = checkout.answer.is_none();
            if first && matches!(checkout.code, Some(Code::H26 | Code::H99)) {
                // Nobody has to be asked: it is parked only because this is no
                // place to refuse it.
                checkout.turn_away();
            } else if !checkout.take() {
                checkout.ask();
            }
        }
        match checkout.stage {
            Stage::Routed(ticket) => {
                checkout.stage = Stage::Leased(ticket);
                bounds::start_clock(checkout);
                lead(checkout, peer).unwrap_or_else(|| {
                    checkout.give_up();
                    NGX_ERROR as ngx_int_t
                })
            }
            _ => {
                park::park(checkout, peer);
                NGX_AGAIN as ngx_int_t
            }
        }
    });
    if result == NGX_ERROR as ngx_int_t {
        // Nginx ends the request with that; the header filter says why.
        // SAFETY: as above.
        unsafe { (*data.cast::<Checkout>()).code = Some(Code::H99) };
    }
    result
}

/// To the dyno that the request was given.
unsafe fn lead(checkout: &Checkout, peer: &mut ngx_peer_connection_t) -> Option<ngx_int_t> {
    // SAFETY: as the caller says.
    unsafe {
        limit_tries(checkout, peer);
        let pool = (*checkout.request).pool;
        address::address(peer, pool, &checkout.lease()?.dyno)?;
        Some(NGX_OK as ngx_int_t)
    }
}

/// An answer that others are to be asked about (`proxy_next_upstream http_404`) is
/// the client's if there is nobody else: Nginx passes the last one on.
unsafe fn limit_tries(checkout: &Checkout, peer: &mut ngx_peer_connection_t) {
    const BY_STATUS: u32 = NGX_HTTP_UPSTREAM_FT_HTTP_500
        | NGX_HTTP_UPSTREAM_FT_HTTP_502
        | NGX_HTTP_UPSTREAM_FT_HTTP_503
        | NGX_HTTP_UPSTREAM_FT_HTTP_504
        | NGX_HTTP_UPSTREAM_FT_HTTP_403
        | NGX_HTTP_UPSTREAM_FT_HTTP_404
        | NGX_HTTP_UPSTREAM_FT_HTTP_429;
    // SAFETY: it is at an upstream.
    let next_upstream = unsafe { (*checkout.configured).next_upstream };
    if next_upstream & BY_STATUS as ngx_uint_t != 0
        && let Some(lease) = checkout.lease()
    {
        peer.tries = peer.tries.min(lease.others as ngx_uint_t + 1);
    }
}

/// Nginx is done with an attempt, well or not.
unsafe extern "C" fn free(peer: *mut ngx_peer_connection_t, data: *mut c_void, state: ngx_uint_t) {
    // SAFETY: Nginx passes what `prepare` gave it.
    let done = guard_or(false, || unsafe {
        fault::at("free");
        let checkout = &mut *data.cast::<Checkout>();
        let peer = &mut *peer;
        match mem::take(&mut checkout.stage) {
            Stage::Leased(ticket) => settle(checkout, peer, ticket, state),
            stage => {
                park::leave(checkout, peer);
                if matches!(stage, Stage::Asking(_)) {
                    checkout.code = Some(Code::H27);
                }
                checkout.stage = stage;
                checkout.give_up();
            }
        }
        true
    });
    if !done {
        // SAFETY: as above. Nobody counts the attempts of this request any more.
        unsafe { (*peer).tries = 0 };
    }
}

/// The attempt's end: what it came to, what may be tried, and when the dyno is
/// free again.
unsafe fn settle(
    checkout: &mut Checkout,
    peer: &mut ngx_peer_connection_t,
    ticket: Ticket,
    state: ngx_uint_t,
) {
    // SAFETY: the request lives while its peer is freed.
    let attempt = unsafe { attempt::observe(checkout.request, peer, state) };
    let verdict = failure::judge(attempt);
    checkout.code = checkout.ended.or(verdict.code);
    checkout.failed();
    // Nginx wants another dyno: because this one failed, or because its answer
    // is one that the configuration asks others about.
    let next = state != 0;
    if verdict.blames_dyno || next && !attempt.failed {
        checkout.shun();
    }
    if next {
        peer.tries = peer.tries.saturating_sub(1);
    }
    let mut outcome = verdict.outcome;
    if checkout.ended.is_some() {
        peer.tries = 0;
        // Who had no time to connect did not fail to.
        if !attempt.request_sent {
            outcome = Outcome::Unused;
        }
    }
    if attempt.failed {
        // Nginx decides after this whether it tries again. Before a byte was
        // sent, or when only a kept connection was stale, it always may.
        let harmless = verdict.retry_is_safe || !verdict.blames_dyno;
        let may = (NGX_HTTP_UPSTREAM_FT_ERROR | NGX_HTTP_UPSTREAM_FT_TIMEOUT) as ngx_uint_t;
        // SAFETY: the request lives while its peer is freed, and was at an upstream.
        unsafe {
            let configured = (*checkout.configured).next_upstream;
            let next = configured | if harmless { may } else { 0 };
            conf::own(checkout).next_upstream = next;
        }
    }
    let limited = checkout.lease().is_some_and(|lease| lease.limited);
    if verdict.dyno_busy && limited && attempt.request_sent && !peer.connection.is_null() {
        // SAFETY: the connection is open, and Nginx forgets it here.
        unsafe {
            let ending = match verdict.code {
                // Where the end is can't be told.
                Some(Code::H17) => Ending::Close,
                _ => attempt::ending(checkout.request),
            };
            linger::adopt(peer, ticket, ending);
        }
    } else {
        let handed_on = worker::get().checkin(ticket, outcome);
        // Somebody waits for this dyno: the sidecar can see to it while this turn
        // of the loop goes on.
        let queued = checkout
            .answer
            .as_ref()
            .is_some_and(|answer| answer.queue_depth > 0);
        if queued && !handed_on {
            worker::get().flush();
        }
    }
}
