//! Requests of one client that come to the same dyno: what they say of it, and what the
//! client is told.

use std::sync::Arc;

use ngx::ffi::ngx_http_request_t;
use router::rulebook::Ruled;

use crate::{checkout::Checkout, request};

/// A request whose rules have been applied prefers a dyno, by what the app says that serves
/// it. (One that they have sent to another app does not: what its client has is of this
/// app.)
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn prefer(
    r: *mut ngx_http_request_t,
    ruled: &Arc<Ruled>,
    checkout: &mut Checkout,
) {
    let Some(sticky) = &ruled.sticky else { return };
    // SAFETY: as the caller says; nothing changes the headers meanwhile.
    unsafe {
        let headers = request::headers(&raw mut (*r).headers_in.headers);
        let rare = checkout.rare();
        rare.prefer = sticky.prefer(
            headers.map(|header| (request::bytes(header.key), request::bytes(header.value))),
        );
        // A subrequest has no response of its own.
        rare.sticky = (r == (*r).main).then(|| ruled.clone());
    }
}

/// The cookie for a response: its client's requests are to come to this dyno from now on.
///
/// # Safety
/// `r` is a live request whose header was not sent.
pub(crate) unsafe fn cookie(r: *mut ngx_http_request_t, checkout: &Checkout) -> Option<String> {
    let rare = checkout.rare.as_ref()?;
    let sticky = rare.sticky.as_ref()?.sticky.as_ref()?;
    // SAFETY: as the caller says.
    unsafe {
        // Neither what a cache has nor an error is from a dyno.
        let lease = checkout
            .lease()
            .filter(|_| (*r).cached() == 0 && checkout.code.is_none())?;
        let own = rare.prefer.is_some() && !lease.gone;
        let https = !(*(*r).connection).ssl.is_null();
        match own || lease.dyno.token == 0 {
            true => None,
            false => sticky.set_cookie(lease.dyno.token, https),
        }
    }
}
