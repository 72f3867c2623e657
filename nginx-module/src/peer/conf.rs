//! An upstream's configuration, as a request of the mesh has it: how long to wait and what
//! to try again differ from one stage to the next, and Nginx looks nowhere else for them.
//!
//! Most requests get a dyno at once and a response. All of one location share a copy then,
//! which is as configured but for what holds for all. One that waits, or whose dyno fails
//! it, has a copy of its own.

use std::ptr;

use ngx::ffi::{
    NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT, ngx_cycle, ngx_http_request_t, ngx_http_upstream_conf_t,
    ngx_palloc, ngx_uint_t,
};

use crate::{
    checkout::{Checkout, Token},
    conf, worker,
};

/// Gives a request the copy that it shares with others.
///
/// # Safety
/// The checkout is a new one of this request, which is live and at its upstream.
pub(super) unsafe fn share(r: *mut ngx_http_request_t, checkout: Token) {
    // SAFETY: as the caller says; what is shared lives as long as the configuration.
    unsafe {
        let checkout = &mut *checkout;
        let upstream = (*r).upstream;
        let configured = (*upstream).conf;
        checkout.configured = configured;
        let place = &conf::rules::of(r).shared;
        let shared = match place.get() {
            None => {
                let room = ngx_palloc((*ngx_cycle).pool, size_of::<ngx_http_upstream_conf_t>());
                let room = room.cast::<ngx_http_upstream_conf_t>();
                if !room.is_null() {
                    ptr::copy_nonoverlapping(configured, room, 1);
                    restrict(&mut *room);
                    place.set(Some((configured, room)));
                }
                room
            }
            Some((of, shared)) if of == configured => shared,
            // A location has one way to pass requests on.
            Some(_) => ptr::null_mut(),
        };
        match shared.is_null() {
            true => restrict(own(checkout)),
            false => (*upstream).conf = shared,
        }
    }
}

/// An app must not reach another location, which may be internal or another tenant's.
fn restrict(conf: &mut ngx_http_upstream_conf_t) {
    conf.ignore_headers |= NGX_HTTP_UPSTREAM_IGN_XA_REDIRECT as ngx_uint_t;
}

/// This request's own copy, which may be changed.
///
/// # Safety
/// The request is live and at its upstream; the result is used only while nothing else
/// uses it.
pub(crate) unsafe fn own<'a>(checkout: &mut Checkout) -> &'a mut ngx_http_upstream_conf_t {
    // SAFETY: the copy lives as long as the checkout, and that as long as the request.
    unsafe {
        let upstream = (*checkout.request).upstream;
        let room = checkout.conf.get_or_insert_with(|| {
            let mut room = worker::get().confs.take();
            ptr::copy_nonoverlapping((*upstream).conf, room.as_mut_ptr(), 1);
            (*upstream).conf = room.as_mut_ptr();
            room
        });
        &mut *room.as_mut_ptr()
    }
}
