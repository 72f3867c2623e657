//! Responses on their way to the client: errors get their code and body, apps
//! can't speak in the mesh's name.

use std::{mem, ptr};

use ngx::ffi::{
    NGX_AGAIN, NGX_ERROR, NGX_OK, ngx_buf_t, ngx_chain_t, ngx_http_output_body_filter_pt,
    ngx_http_output_header_filter_pt, ngx_http_request_t, ngx_http_top_body_filter,
    ngx_http_top_header_filter, ngx_int_t, ngx_list_push, ngx_pcalloc, ngx_str_t, ngx_table_elt_t,
};
use router::{code::Code, page::Page};

use crate::{
    checkout::{Body, Checkout},
    fault,
    guard::guard,
    headers, pages, request, rules, sticky,
};

static mut NEXT_HEADER: ngx_http_output_header_filter_pt = None;
static mut NEXT_BODY: ngx_http_output_body_filter_pt = None;

/// The body of this request is held back (of the four bits, the one that only images
/// have: what comes after this filter sees nothing until it is free again).
const HELD_BACK: u32 = 0x08;

/// Whether the header may go on.
#[derive(PartialEq, Eq)]
enum Header {
    Ready,
    HeldBack,
}

/// Puts both filters in front of the others.
pub(crate) unsafe fn install() {
    // SAFETY: Nginx reads its configuration in one thread, before any request.
    unsafe {
        NEXT_HEADER = ngx_http_top_header_filter;
        ngx_http_top_header_filter = Some(header_filter);
        NEXT_BODY = ngx_http_top_body_filter;
        ngx_http_top_body_filter = Some(body_filter);
    }
}

unsafe extern "C" fn header_filter(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request, after `install`.
    guard(|| unsafe {
        fault::at("header filter");
        if let Some(checkout) = Checkout::of(r) {
            headers::hide(&mut (*r).headers_out.headers);
            match dress(r, checkout) {
                None => return NGX_ERROR as ngx_int_t,
                Some(Header::HeldBack) => return NGX_OK as ngx_int_t,
                Some(Header::Ready) => {}
            }
        } else if request::is_hostless(r) {
            add(r, "X-Mesh-Error", Code::H26.name());
        }
        send(r)
    })
}

unsafe fn send(r: *mut ngx_http_request_t) -> ngx_int_t {
    // SAFETY: see `header_filter`.
    unsafe {
        if rules::dress(r).is_none() {
            return NGX_ERROR as ngx_int_t;
        }
        NEXT_HEADER.map_or(NGX_OK as ngx_int_t, |next| next(r))
    }
}

/// What the mesh has to say. `None`: no memory.
unsafe fn dress(r: *mut ngx_http_request_t, checkout: &mut Checkout) -> Option<Header> {
    // SAFETY: see `header_filter`.
    unsafe {
        if let Some(answer) = checkout
            .answer
            .as_ref()
            .filter(|answer| answer.queue_headers)
        {
            add(r, "X-Mesh-Queue-Depth", &answer.queue_depth.to_string())?;
            add(
                r,
                "X-Mesh-Queue-Wait-Time",
                &answer.queue_wait_ms.to_string(),
            )?;
            add(r, "X-Mesh-Dynos-In-Use", &answer.dynos_in_use.to_string())?;
        }
        if let Some(cookie) = sticky::cookie(r, checkout) {
            add(r, "Set-Cookie", &cookie)?;
        }
        // The client of H27 is not there any more. An old response from a cache
        // is none of the failure.
        let code = checkout.code.filter(|code| *code != Code::H27);
        let Some(code) = code.filter(|_| (*r).cached() == 0) else {
            return Some(Header::Ready);
        };
        add(r, "X-Mesh-Error", code.name())?;
        if code == Code::RateLimited {
            add(r, "Retry-After", &checkout.retry_after().to_string())?;
        }
        // A page of the operator's own (error_page) stays as it is, but for the
        // status by which Nginx calls a dyno's failure.
        if (*r).error_page() != 0 {
            if let 502 | 504 = (*r).err_status {
                (*r).err_status = code.status().into();
                (*r).headers_out.status = code.status().into();
            }
            return Some(Header::Ready);
        }
        // Nginx is about to send a page of its own.
        let error = (*r).err_status != 0;
        // The access log prefers this one.
        (*r).err_status = code.status().into();
        (*r).headers_out.status = code.status().into();
        (*r).headers_out.status_line = ngx_str_t::default();
        if error && pages::wait(r, checkout) {
            return Some(Header::HeldBack);
        }
        replace(r, checkout, code);
        Some(Header::Ready)
    }
}

/// Another body takes the place of Nginx's.
unsafe fn replace(r: *mut ngx_http_request_t, checkout: &mut Checkout, code: Code) {
    // SAFETY: see `header_filter`.
    unsafe {
        let page = pages::choose(r, checkout.app(), code);
        let out = &mut (*r).headers_out;
        out.content_length_n = page.body.len() as _;
        if let Some(length) = out.content_length.as_mut() {
            length.hash = 0;
        }
        out.content_length = ptr::null_mut();
        out.content_type_len = page.content_type.len();
        out.content_type = constant(page.content_type);
        out.content_type_lowcase = ptr::null_mut();
        out.charset = constant("utf-8");
        if let Some(ranges) = out.accept_ranges.as_mut() {
            ranges.hash = 0;
        }
        out.accept_ranges = ptr::null_mut();
        (*r).set_allow_ranges(0);
        checkout.rare().body = Body::Ready(page);
    }
}

/// The page is known: sends the header that was held back. `Ok`: the body follows.
unsafe fn release(r: *mut ngx_http_request_t, checkout: &mut Checkout) -> Result<(), ngx_int_t> {
    // SAFETY: see `body_filter`.
    unsafe {
        (*r).set_buffered((*r).buffered() & !HELD_BACK);
        replace(r, checkout, checkout.code.unwrap_or(Code::H99));
        match send(r) {
            sent if sent == NGX_ERROR as ngx_int_t || sent > NGX_OK as ngx_int_t => Err(sent),
            // HEAD.
            sent if (*r).header_only() != 0 => Err(sent),
            _ => Ok(()),
        }
    }
}

fn constant(text: &'static str) -> ngx_str_t {
    ngx_str_t {
        len: text.len(),
        data: text.as_ptr().cast_mut(),
    }
}

/// Adds a header to the response.
unsafe fn add(r: *mut ngx_http_request_t, key: &'static str, value: &str) -> Option<()> {
    // SAFETY: see `header_filter`; the value is copied to the request's pool.
    unsafe {
        let value = ngx_str_t::from_bytes((*r).pool, value.as_bytes())?;
        let header = ngx_list_push(&raw mut (*r).headers_out.headers).cast::<ngx_table_elt_t>();
        if header.is_null() {
            return None;
        }
        // Newer Nginx has one more field than older.
        header.write(mem::zeroed());
        (*header).hash = 1;
        (*header).key = constant(key);
        (*header).value = value;
        Some(())
    }
}

unsafe extern "C" fn body_filter(r: *mut ngx_http_request_t, chain: *mut ngx_chain_t) -> ngx_int_t {
    // SAFETY: Nginx calls it with a live request, after `install`.
    guard(|| unsafe {
        fault::at("body filter");
        let Some(next) = NEXT_BODY else {
            return NGX_OK as ngx_int_t;
        };
        let Some(checkout) = Checkout::of(r) else {
            return next(r, chain);
        };
        if matches!(checkout.body(), Body::Foreign) {
            headers::hide(&mut (*r).headers_out.trailers);
            return next(r, chain);
        }
        consume(chain);
        if matches!(checkout.body(), Body::Waiting) {
            (*r).set_buffered((*r).buffered() | HELD_BACK);
            return NGX_AGAIN as ngx_int_t;
        }
        if matches!(checkout.body(), Body::Due)
            && let Err(done) = release(r, checkout)
        {
            checkout.rare().body = Body::Sent;
            return done;
        }
        match mem::replace(&mut checkout.rare().body, Body::Sent) {
            Body::Ready(page) => send_body(r, &page),
            _ => next(r, ptr::null_mut()),
        }
    })
}

unsafe fn send_body(r: *mut ngx_http_request_t, page: &Page) -> ngx_int_t {
    // SAFETY: see `body_filter`.
    unsafe {
        match (NEXT_BODY, link(r, page.body.as_bytes())) {
            (Some(next), Some(mut chain)) => next(r, &raw mut chain),
            _ => NGX_ERROR as ngx_int_t,
        }
    }
}

/// Marks everything as sent.
unsafe fn consume(mut chain: *mut ngx_chain_t) {
    // SAFETY: a chain of Nginx's, ended by null.
    unsafe {
        while let Some(link) = chain.as_ref() {
            (*link.buf).pos = (*link.buf).last;
            (*link.buf).file_pos = (*link.buf).file_last;
            chain = link.next;
        }
    }
}

/// The whole body as one buffer.
unsafe fn link(r: *mut ngx_http_request_t, body: &[u8]) -> Option<ngx_chain_t> {
    // SAFETY: see `body_filter`; both live as long as the request.
    unsafe {
        let text = ngx_str_t::from_bytes((*r).pool, body)?;
        let buf = ngx_pcalloc((*r).pool, mem::size_of::<ngx_buf_t>()).cast::<ngx_buf_t>();
        let buf = buf.as_mut()?;
        buf.start = text.data;
        buf.pos = text.data;
        buf.last = text.data.add(text.len);
        buf.end = buf.last;
        buf.set_memory(1);
        buf.set_last_buf(u32::from(r == (*r).main));
        buf.set_last_in_chain(1);
        Some(ngx_chain_t {
            buf,
            next: ptr::null_mut(),
        })
    }
}
