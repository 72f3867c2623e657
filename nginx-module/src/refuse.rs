//! A request that waits gets no dyno: an error, or an old response from a cache.

use std::ptr;

use ngx::ffi::{
    NGX_ERROR, NGX_HTTP_CACHE_EXPIRED, NGX_HTTP_UPSTREAM_FT_ERROR, NGX_HTTP_UPSTREAM_FT_HTTP_503,
    NGX_HTTP_UPSTREAM_FT_TIMEOUT, ngx_connection_t, ngx_current_msec, ngx_http_block_reading,
    ngx_http_file_cache_free, ngx_http_finalize_request, ngx_http_request_t,
    ngx_http_run_posted_requests, ngx_http_upstream_t, ngx_int_t, ngx_uint_t, u_char,
};
use router::code::Code;

use crate::{
    checkout::{Checkout, Token},
    linger, park,
    peer::conf,
};

/// Ends the request. The header filter says why.
pub(crate) unsafe fn refuse(token: Token, code: Code) {
    // SAFETY: the request is parked, or about to be, so it and its upstream are live;
    // the checkout is not used any more once Nginx runs on.
    unsafe {
        let checkout = &mut *token;
        let r = checkout.request;
        let u = (*r).upstream;
        let client = (*r).connection;
        park::set_log_request(r);
        checkout.give_up();
        checkout.code = Some(code);
        if code.is_failure() && has_stale(r, u) {
            return fall_back(checkout, client);
        }
        park::leave(checkout, &mut (*u).peer);
        if let Some(cache) = (*r).cache.as_mut() {
            let temp = (*u)
                .pipe
                .as_ref()
                .map_or(ptr::null_mut(), |pipe| pipe.temp_file);
            ngx_http_file_cache_free(cache, temp);
        }
        // From here on as Nginx ends an upstream that has no connection.
        if !(*u).cleanup.is_null() {
            *(*u).cleanup = None;
            (*u).cleanup = ptr::null_mut();
        }
        let status = ngx_int_t::from(code.status() as i16);
        if let Some(state) = (*u).state.as_mut() {
            state.response_time = ngx_current_msec - (*u).start_time;
            state.status = code.status().into();
        }
        if let Some(finalize) = (*u).finalize_request {
            finalize(r, status);
        }
        (*r).read_event_handler = Some(ngx_http_block_reading);
        ngx_http_finalize_request(r, status);
        ngx_http_run_posted_requests(client);
    }
}

/// The request was to be told something, and that went wrong half-way: ends it,
/// whatever it has got by now.
pub(crate) unsafe fn abandon(token: Token) {
    // SAFETY: see `refuse`.
    unsafe {
        let u = (*(*token).request).upstream;
        let c = (*u).peer.connection;
        if (*token).parked.is_none() && !c.is_null() {
            (*u).peer.connection = ptr::null_mut();
            linger::close(c);
        }
        refuse(token, Code::H99);
    }
}

/// There is an old response that `proxy_cache_use_stale` allows when a dyno fails.
unsafe fn has_stale(r: *mut ngx_http_request_t, u: *mut ngx_http_upstream_t) -> bool {
    const FAILURES: u32 =
        NGX_HTTP_UPSTREAM_FT_ERROR | NGX_HTTP_UPSTREAM_FT_TIMEOUT | NGX_HTTP_UPSTREAM_FT_HTTP_503;
    // SAFETY: see `refuse`.
    unsafe {
        let Some(cache) = (*r).cache.as_ref() else {
            return false;
        };
        let allowed = (*(*u).conf).cache_use_stale & FAILURES as ngx_uint_t != 0;
        (*u).cache_status() == NGX_HTTP_CACHE_EXPIRED && (allowed || cache.stale_error() != 0)
    }
}

/// Nginx serves the old response, as when it has read nothing from a dyno. Of all
/// that can go wrong with a connection, it says only of that nothing in its log.
unsafe fn fall_back(checkout: &mut Checkout, client: *mut ngx_connection_t) {
    // SAFETY: see `refuse`; the parked connection is there until `free`.
    unsafe {
        let r = checkout.request;
        let u = (*r).upstream;
        // A dyno that refuses on the spot leaves none.
        if (*u).peer.connection.is_null() {
            park::park(checkout, &mut (*u).peer);
        }
        (*u).peer.tries = 0;
        conf::own(checkout).cache_use_stale |= NGX_HTTP_UPSTREAM_FT_ERROR as ngx_uint_t;
        // Or it would be asked of the system whether there is a connection.
        (*u).set_request_sent(1);
        (*(*u).peer.connection).recv = Some(read_nothing);
        if let Some(run) = (*u).read_event_handler {
            run(r, u);
        }
        ngx_http_run_posted_requests(client);
    }
}

unsafe extern "C" fn read_nothing(_: *mut ngx_connection_t, _: *mut u_char, _: usize) -> isize {
    NGX_ERROR as isize
}
