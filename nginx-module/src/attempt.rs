//! How an attempt at a dyno went, read off Nginx's upstream.

use std::{ptr, slice};

use ngx::ffi::{
    NGX_AGAIN, NGX_ERROR, NGX_HTTP_HEAD, NGX_HTTP_UPSTREAM_INVALID_HEADER, NGX_OK, NGX_PEER_FAILED,
    ngx_connection_t, ngx_http_request_t, ngx_http_upstream_t, ngx_int_t, ngx_msec_t,
    ngx_peer_connection_t, ngx_uint_t,
};
use router::{
    ending::{Ending, Next},
    failure::Attempt,
};

use crate::{
    checkout::{Checkout, ProcessHeader},
    fault,
    guard::guard,
    headers, request,
};

/// What is known as Nginx frees the peer.
pub(crate) unsafe fn observe(
    r: *mut ngx_http_request_t,
    peer: &ngx_peer_connection_t,
    state: ngx_uint_t,
) -> Attempt {
    // SAFETY: the caller has a live request with its upstream.
    unsafe {
        let u = (*r).upstream;
        let client = (*r).connection;
        let pipe = (*u).pipe.as_ref().filter(|_| (*u).buffering() != 0);
        let mut attempt = Attempt {
            failed: state & NGX_PEER_FAILED as ngx_uint_t != 0,
            request_sent: (*u).request_sent() != 0,
            request_complete: (*u).request_body_sent() != 0,
            header_done: (*(*u).state).header_time != ngx_msec_t::MAX,
            kept: peer.cached() != 0,
            response_begun: (*(*u).state).bytes_received > 0,
            client_gone: (*client).error() != 0
                || (*client).timedout() != 0
                // Nginx also says so of a client that wants no body.
                || (*r).header_only() == 0 && pipe.is_some_and(|p| p.downstream_error() != 0),
            ..Attempt::default()
        };
        let Some(c) = peer.connection.as_ref() else {
            // Somebody keeps the connection for the next request.
            attempt.response_complete = true;
            return attempt;
        };
        attempt.timed_out = (*c.read).timedout() != 0 || (*c.write).timedout() != 0;
        attempt.closed = (*c.read).eof() != 0
            || (*c.read).error() != 0
            || (*c.write).error() != 0
            || pipe.is_some_and(|p| {
                p.upstream_eof() != 0 || (p.upstream_error() != 0 && !attempt.timed_out)
            });
        attempt.response_complete = attempt.header_done && is_complete(r, u, c);
        attempt.body_begun = attempt.header_done && is_body_begun(r, u);
        attempt
    }
}

/// The response has come to its end.
unsafe fn is_complete(
    r: *mut ngx_http_request_t,
    u: *mut ngx_http_upstream_t,
    c: &ngx_connection_t,
) -> bool {
    // SAFETY: see `observe`.
    unsafe {
        let status = (*u).headers_in.status_n;
        let eof = (*c.read).eof() != 0;
        if (*u).upgrade() != 0 {
            return eof;
        }
        if is_head(r, u) || status == 204 || status == 304 {
            return true;
        }
        if (*u).headers_in.content_length_n == 0 && (*u).headers_in.chunked() == 0 {
            return true;
        }
        if !is_body_begun(r, u) {
            return eof || request::is_http1(u) && ending(r).begin() == Next::Finished;
        }
        match (*u).pipe.as_ref().filter(|_| (*u).buffering() != 0) {
            Some(pipe) => {
                let open_end = pipe.length == -1 && pipe.upstream_eof() != 0;
                pipe.upstream_done() != 0 || pipe.length == 0 || open_end
            }
            None => (*u).length == 0 || (*u).length == -1 && eof,
        }
    }
}

/// Nginx has begun to count the bytes of the body. It does not always: a header
/// may be all that it wants (an error page takes the response's place, a
/// subrequest is about the status, the cache has the body).
unsafe fn is_body_begun(r: *mut ngx_http_request_t, u: *mut ngx_http_upstream_t) -> bool {
    // SAFETY: see `observe`.
    unsafe {
        if (*u).buffering() != 0 {
            (*u).pipe.as_ref().is_some_and(|p| !p.upstream.is_null())
        } else {
            (*u).header_sent() != 0 && (*r).header_only() == 0
        }
    }
}

/// The dyno was sent a HEAD. It may not be what the client sent: a cache makes a
/// GET of it.
unsafe fn is_head(r: *mut ngx_http_request_t, u: *mut ngx_http_upstream_t) -> bool {
    // SAFETY: see `observe`; the first buffer of a request begins with its method.
    unsafe {
        let first = (*u)
            .request_bufs
            .as_ref()
            .and_then(|chain| chain.buf.as_ref());
        match first.filter(|_| request::is_http1(u)) {
            Some(buf) if !buf.start.is_null() => {
                let length = usize::try_from(buf.last.offset_from(buf.start)).unwrap_or(0);
                slice::from_raw_parts(buf.start, length).starts_with(b"HEAD ")
            }
            _ => (*r).method == NGX_HTTP_HEAD as ngx_uint_t,
        }
    }
}

/// How the rest of the response will end.
pub(crate) unsafe fn ending(r: *mut ngx_http_request_t) -> Ending {
    // SAFETY: see `observe`.
    unsafe {
        let u = (*r).upstream;
        let readable = (*u).upgrade() == 0 && (*u).request_body_sent() != 0;
        if !readable || !request::is_http1(u) {
            return Ending::Close;
        }
        let header_done = (*(*u).state).header_time != ngx_msec_t::MAX;
        if !header_done || !is_body_begun(r, u) {
            return Ending::of_header(received(r, u), is_head(r, u));
        }
        if (*u).headers_in.chunked() != 0 {
            return Ending::of_chunked();
        }
        match u64::try_from((*u).headers_in.content_length_n) {
            Ok(length) => Ending::Length(length.saturating_sub(body_received(u))),
            Err(_) => Ending::Close,
        }
    }
}

/// What came of the header, and of the body with it.
unsafe fn received<'a>(r: *mut ngx_http_request_t, u: *mut ngx_http_upstream_t) -> &'a [u8] {
    // SAFETY: Nginx's buffer, from its start (behind what a cache file has in
    // front) to the last byte that came.
    unsafe {
        let buffer = &(*u).buffer;
        if buffer.start.is_null() {
            return &[];
        }
        let skip = (*r).cache.as_ref().map_or(0, |cache| cache.header_start);
        let start = buffer.start.add(skip);
        let length = buffer.last.offset_from(start);
        slice::from_raw_parts(start, usize::try_from(length).unwrap_or(0))
    }
}

/// Bytes of the body that came.
unsafe fn body_received(u: *mut ngx_http_upstream_t) -> u64 {
    // SAFETY: see `observe`.
    unsafe {
        let counted = match (*u).pipe.as_ref().filter(|_| (*u).buffering() != 0) {
            Some(pipe) => pipe.read_length,
            None => (*(*u).state).response_length,
        };
        // Before the body is looked at, its beginning is behind the header.
        let with_header = (*u).buffer.last.offset_from((*u).buffer.pos) as i64;
        u64::try_from(if counted == 0 { with_header } else { counted }).unwrap_or(0)
    }
}

/// Puts `process_header` before whatever Nginx has to look at the next response.
pub(crate) unsafe fn watch_header(checkout: &mut Checkout, u: *mut ngx_http_upstream_t) {
    // SAFETY: the upstream is of the checkout's live request.
    unsafe {
        // After an attempt that sent nothing it is there already.
        let ours = process_header as ProcessHeader;
        if (*u)
            .process_header
            .is_some_and(|current| !ptr::fn_addr_eq(current, ours))
        {
            checkout.process_header = (*u).process_header;
            (*u).process_header = Some(ours);
        }
    }
}

/// Looks at the first bytes of a response. Nginx takes what does not begin like
/// a status line for HTTP/0.9 and passes it on; a mesh does not.
pub(crate) unsafe extern "C" fn process_header(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: Nginx calls it for a live request whose checkout set it.
    guard(|| unsafe {
        fault::at("process header");
        let u = (*r).upstream;
        let Some(checkout) = Checkout::of(r) else {
            return NGX_ERROR as ngx_int_t;
        };
        let Some(next) = checkout.process_header else {
            return NGX_ERROR as ngx_int_t;
        };
        if request::is_http1(u) && !begins_like_http(received(r, u)) {
            return NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
        }
        (*u).process_header = Some(next);
        let version = (*r).http_version;
        let result = next(r);
        // The handler may have put another one in its place for what comes next.
        if result == NGX_AGAIN as ngx_int_t {
            checkout.process_header = (*u).process_header;
            (*u).process_header = Some(process_header);
        }
        if result == NGX_OK as ngx_int_t {
            // Nginx took it for HTTP/0.9 after all.
            if request::is_http1(u) && (*u).headers_in.status_n == 0 {
                (*r).http_version = version;
                return NGX_HTTP_UPSTREAM_INVALID_HEADER as ngx_int_t;
            }
            // What a cache has is passed on without us: it must be harmless.
            let forged = headers::forges(&mut (*u).headers_in.headers);
            if forged || !(*u).headers_in.x_accel_redirect.is_null() {
                (*u).set_cacheable(0);
            }
        }
        result
    })
}

fn begins_like_http(bytes: &[u8]) -> bool {
    bytes.iter().zip(b"HTTP/").all(|(a, b)| a == b)
}
