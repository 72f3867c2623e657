//! `X-Mesh-*` is the mesh's own: from a client or from an app it is stripped,
//! never believed.

use std::ptr;

use ngx::ffi::{
    NGX_DECLINED, NGX_ERROR, NGX_OK, ngx_conf_t, ngx_http_phases_NGX_HTTP_POST_READ_PHASE,
    ngx_http_request_t, ngx_int_t, ngx_list_part_t, ngx_list_t, ngx_palloc, ngx_str_t,
    ngx_table_elt_t,
};

use crate::{guard::guard, phase, request};

const PREFIX: &[u8] = b"x-mesh-";

/// Each request is asked this of each of its headers, twice of its response's.
fn is_ours(key: &[u8]) -> bool {
    matches!(key.first(), Some(b'x' | b'X'))
        && key
            .get(..PREFIX.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Has every request looked at as soon as its header is read.
pub(crate) unsafe fn install(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: called by Nginx at the end of the http block.
    match unsafe { phase::add(cf, ngx_http_phases_NGX_HTTP_POST_READ_PHASE, strip_in) } {
        Some(()) => NGX_OK as ngx_int_t,
        None => NGX_ERROR as ngx_int_t,
    }
}

/// Strips a request.
unsafe extern "C" fn strip_in(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request.
    guard(|| unsafe {
        let list = &mut (*r).headers_in.headers;
        let ours = |header: &ngx_table_elt_t| is_ours(request::bytes(header.key));
        if forges(list) && cut(r, list, ours).is_none() {
            return NGX_ERROR as ngx_int_t;
        }
        NGX_DECLINED as ngx_int_t
    })
}

/// Takes headers out of a request. `None`: no memory.
///
/// Nginx has pointers to single headers, so none may move: the list is cut into
/// parts around those to be left out. No part but the only one may be empty:
/// Nginx steps to the next part and takes its first header unseen.
///
/// # Safety
/// The list is that of the headers of a live request.
pub(crate) unsafe fn cut(
    r: *mut ngx_http_request_t,
    list: &mut ngx_list_t,
    unwanted: impl Fn(&ngx_table_elt_t) -> bool,
) -> Option<()> {
    // SAFETY: parts and their elements live in the request's pool, as does what
    // is allocated here.
    unsafe {
        let mut runs: Vec<(*mut ngx_table_elt_t, usize)> = Vec::new();
        for part in request::parts(list) {
            let headers = request::elements(&*part);
            for run in headers.split_mut(|header| unwanted(header)) {
                if !run.is_empty() {
                    runs.push((run.as_mut_ptr(), run.len()));
                }
            }
        }
        let mut part = &raw mut list.part;
        (*part).nelts = 0;
        for (i, (elements, count)) in runs.into_iter().enumerate() {
            if i > 0 {
                let size = size_of::<ngx_list_part_t>();
                let next = ngx_palloc((*r).pool, size).cast::<ngx_list_part_t>();
                if next.is_null() {
                    return None;
                }
                (*part).next = next;
                part = next;
            }
            (*part).elts = elements.cast();
            (*part).nelts = count;
        }
        (*part).next = ptr::null_mut();
        list.last = part;
        // Behind a run there is no room: who adds a header gets a new part.
        list.nalloc = (*part).nelts.max(1);
        Some(())
    }
}

/// Hides what a response has in the mesh's name, among its headers or its
/// trailers: Nginx sends none whose hash is zero.
///
/// # Safety
/// The list is one of headers of a live request.
pub(crate) unsafe fn hide(list: &mut ngx_list_t) {
    // SAFETY: as the caller says.
    unsafe {
        for part in request::parts(list) {
            for header in request::elements(&*part) {
                if is_ours(request::bytes(header.key)) {
                    header.hash = 0;
                    header.value = ngx_str_t::default();
                }
            }
        }
    }
}

/// A response says something in the mesh's name.
///
/// # Safety
/// As [`hide`].
pub(crate) unsafe fn forges(list: &mut ngx_list_t) -> bool {
    // SAFETY: as the caller says.
    unsafe {
        let mut parts = request::parts(list);
        parts.any(|part| {
            let mut headers = request::elements(&*part).iter();
            headers.any(|header| is_ours(request::bytes(header.key)))
        })
    }
}
