//! Reading what Nginx knows of a request.

use std::{ffi::c_void, iter, net::IpAddr, ptr};

use ngx::ffi::{
    NGX_HTTP_VERSION_20, ngx_http_request_t, ngx_http_upstream_t, ngx_list_part_t, ngx_list_t,
    ngx_str_t, ngx_table_elt_t, ngx_uint_t,
};
use router::authority::{self, Authority};

/// Bytes of a string of Nginx's.
///
/// # Safety
/// The string points to memory that lives for `'a`.
pub(crate) unsafe fn bytes<'a>(text: ngx_str_t) -> &'a [u8] {
    if text.len == 0 || text.data.is_null() {
        return &[];
    }
    // SAFETY: see above.
    unsafe { std::slice::from_raw_parts(text.data, text.len) }
}

/// Which name the request is for.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn authority<'a>(r: *mut ngx_http_request_t) -> Option<Authority<'a>> {
    // SAFETY: the request and its headers live as long as its pool.
    unsafe {
        let host = match (*r).headers_in.host.as_ref() {
            Some(header) => Some(bytes(header.value)),
            // HTTP/3 has it elsewhere.
            None if (*r).http_version > NGX_HTTP_VERSION_20 as ngx_uint_t => {
                Some(bytes((*r).headers_in.server))
            }
            None => None,
        };
        authority::of_request(bytes((*r).request_line), host)
    }
}

/// The first header of the request with this (lower case) name.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn header_in<'a>(r: *mut ngx_http_request_t, name: &[u8]) -> Option<&'a [u8]> {
    // SAFETY: as the caller says.
    unsafe {
        headers(&raw mut (*r).headers_in.headers)
            .find(|header| bytes(header.key).eq_ignore_ascii_case(name))
            .map(|header| bytes(header.value))
    }
}

/// What is kept with a request until its memory goes, by what is called then. Requests of one
/// client may share that.
///
/// # Safety
/// `r` is a live request; what this handler is called with are values of `T`.
pub(crate) unsafe fn kept<T>(
    r: *mut ngx_http_request_t,
    handler: Cleanup,
) -> impl Iterator<Item = *mut T> {
    // SAFETY: as the caller says.
    let mut next = unsafe { (*(*r).pool).cleanup };
    iter::from_fn(move || {
        loop {
            // SAFETY: a list of Nginx's, ended by null.
            let here = unsafe { next.as_ref() }?;
            next = here.next;
            if here.handler.is_some_and(|it| ptr::fn_addr_eq(it, handler)) {
                return Some(here.data.cast());
            }
        }
    })
}

/// What Nginx calls before it frees memory.
pub(crate) type Cleanup = unsafe extern "C" fn(*mut c_void);

/// The headers in a list of Nginx's.
///
/// # Safety
/// The list is one of headers; nothing else uses it meanwhile.
pub(crate) unsafe fn headers<'a>(
    list: *mut ngx_list_t,
) -> impl Iterator<Item = &'a mut ngx_table_elt_t> {
    // SAFETY: as the caller says.
    unsafe { parts(list).flat_map(|part| elements(&*part)) }
}

/// The parts of a list of Nginx's.
///
/// # Safety
/// As [`headers`].
pub(crate) unsafe fn parts(list: *mut ngx_list_t) -> impl Iterator<Item = *mut ngx_list_part_t> {
    // SAFETY: as the caller says.
    let mut next = unsafe { &raw mut (*list).part };
    iter::from_fn(move || {
        // SAFETY: parts of one list of Nginx's, ended by null.
        let here = unsafe { next.as_mut() }?;
        next = here.next;
        Some(here as *mut _)
    })
}

/// The headers in one part of a list of Nginx's.
///
/// # Safety
/// The part is one of a list of headers.
pub(crate) unsafe fn elements<'a>(part: &ngx_list_part_t) -> &'a mut [ngx_table_elt_t] {
    if part.nelts == 0 {
        return &mut [];
    }
    // SAFETY: see above.
    unsafe { std::slice::from_raw_parts_mut(part.elts.cast(), part.nelts) }
}

/// The upstream side speaks HTTP/1, so what comes begins with a status line.
///
/// # Safety
/// `u` is the upstream of a live request.
pub(crate) unsafe fn is_http1(u: *const ngx_http_upstream_t) -> bool {
    // SAFETY: set by the handler before any peer is asked for.
    unsafe { bytes((*u).schema) }.starts_with(b"http")
}

/// Nginx itself refused the request before it had a usable Host.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn is_hostless(r: *mut ngx_http_request_t) -> bool {
    // SAFETY: as the caller says.
    unsafe { (*r).headers_out.status == 400 && (*r).headers_in.server.len == 0 }
}

/// The client's address, if it has one.
///
/// # Safety
/// `r` is a live request.
pub(crate) unsafe fn client(r: *mut ngx_http_request_t) -> Option<IpAddr> {
    // SAFETY: as the caller says; the address is as long as its family says.
    unsafe {
        let address = (*(*r).connection).sockaddr;
        match libc::c_int::from((*address).sa_family) {
            libc::AF_INET => {
                let inet = ptr::read_unaligned(address.cast::<libc::sockaddr_in>());
                Some(IpAddr::from(inet.sin_addr.s_addr.to_ne_bytes()))
            }
            libc::AF_INET6 => {
                let inet = ptr::read_unaligned(address.cast::<libc::sockaddr_in6>());
                Some(IpAddr::from(inet.sin6_addr.s6_addr))
            }
            _ => None,
        }
    }
}
