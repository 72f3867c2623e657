//! Requests of one client that come to the same dyno: what they say of it, and what the
//! client is told.

use ngx::ffi::ngx_http_request_t;
use router::{
    rulebook::Ruled,
    sticky::{Prefer, Sticky},
};

use crate::{checkout::Checkout, request, rules};

/// Which dyno a request prefers, by what its app says. Its rules have been applied. One
/// that they have sent to another app prefers none: what its client has is of this app.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn prefer(r: *mut ngx_http_request_t, ruled: &Ruled) -> Option<Prefer> {
    // SAFETY: as the caller says; nothing changes the headers meanwhile.
    unsafe {
        let sticky = own(r, ruled)?;
        let headers = request::headers(&raw mut (*r).headers_in.headers);
        sticky.prefer(
            headers.map(|header| (request::bytes(header.key), request::bytes(header.value))),
        )
    }
}

/// What the app says that has the name, if it is the one that serves the request.
unsafe fn own(r: *mut ngx_http_request_t, ruled: &Ruled) -> Option<&Sticky> {
    let sticky = ruled.sticky.as_ref()?;
    // SAFETY: as the caller says.
    unsafe { rules::chosen(r) }.is_none().then_some(sticky)
}

/// The cookie for a response: its client's requests are to come to this dyno from now on.
///
/// # Safety
/// `r` is a live request whose header was not sent.
pub(crate) unsafe fn cookie(r: *mut ngx_http_request_t, checkout: &Checkout) -> Option<String> {
    // SAFETY: as the caller says.
    unsafe {
        let ruled = rules::ruled(r).filter(|_| r == (*r).main)?;
        let sticky = own(r, ruled)?;
        // Neither what a cache has nor an error is from a dyno.
        let lease = checkout
            .lease()
            .filter(|_| (*r).cached() == 0 && checkout.code.is_none())?;
        let own = checkout.prefer.is_some() && !lease.gone;
        let https = !(*(*r).connection).ssl.is_null();
        match own || lease.dyno.token == 0 {
            true => None,
            false => sticky.set_cookie(lease.dyno.token, https),
        }
    }
}
