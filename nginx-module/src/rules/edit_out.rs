//! Headers of a response, changed before it goes to the client.

use std::{mem, ptr};

use ngx::ffi::{ngx_http_request_t, ngx_list_push, ngx_str_t, ngx_table_elt_t};
use rules::{Name, Op};

use crate::request;

/// `None`: no memory.
///
/// # Safety
/// `r` is a live request whose header was not sent.
pub(super) unsafe fn apply(r: *mut ngx_http_request_t, op: Op<'_>) -> Option<()> {
    // SAFETY: as the caller says.
    unsafe {
        match op {
            Op::Set(name, value) | Op::Add(name, value) if *name.lower == *"content-type" => {
                let value = ngx_str_t::from_bytes((*r).pool, value.as_bytes())?;
                set_content_type(r, value);
                Some(())
            }
            Op::Set(name, value) => set(r, name, value.as_bytes()),
            Op::Add(name, value) => add(r, name, value.as_bytes()).map(|_| ()),
            Op::Remove(name) => remove(r, name),
            Op::Rename(old, new) => rename(r, old, new),
        }
    }
}

/// Says where a redirect leads.
///
/// # Safety
/// As [`apply`].
pub(super) unsafe fn locate(r: *mut ngx_http_request_t, to: &str) -> Option<()> {
    // SAFETY: as the caller says.
    unsafe {
        let header = push(r, "Location", to.as_bytes())?;
        (*r).headers_out.location = header;
        Some(())
    }
}

/// Those of this name that are sent.
unsafe fn named<'a>(
    r: *mut ngx_http_request_t,
    name: &Name,
) -> impl Iterator<Item = &'a mut ngx_table_elt_t> {
    // SAFETY: see `apply`.
    unsafe {
        let all = request::headers(&raw mut (*r).headers_out.headers);
        all.filter(move |header| {
            let key = request::bytes(header.key);
            header.hash != 0 && key.eq_ignore_ascii_case(name.lower.as_bytes())
        })
    }
}

unsafe fn set(r: *mut ngx_http_request_t, name: &Name, value: &[u8]) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        let mut all = named(r, name);
        let Some(first) = all.next() else {
            drop(all);
            return add(r, name, value);
        };
        for other in all {
            hide(other);
        }
        first.value = ngx_str_t::from_bytes((*r).pool, value)?;
        Some(())
    }
}

/// Nginx sends some of its own where it has no pointer to one.
unsafe fn add(r: *mut ngx_http_request_t, name: &Name, value: &[u8]) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        let header = push(r, &name.spelled, value)?;
        let out = &mut (*r).headers_out;
        match &*name.lower {
            "server" => out.server = header,
            "date" => out.date = header,
            "location" => out.location = header,
            "last-modified" => out.last_modified = header,
            "etag" => out.etag = header,
            _ => {}
        }
        Some(())
    }
}

unsafe fn remove(r: *mut ngx_http_request_t, name: &Name) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        named(r, name).for_each(hide);
        let out = &mut (*r).headers_out;
        match &*name.lower {
            "content-type" => set_content_type(r, ngx_str_t::default()),
            "last-modified" => out.last_modified_time = -1,
            "location" => out.location = ptr::null_mut(),
            "etag" => out.etag = ptr::null_mut(),
            // What is not sent, but there, keeps Nginx from its own.
            "server" | "date" => {
                add(r, name, b"")?;
                named(r, name).for_each(hide);
            }
            _ => {}
        }
        Some(())
    }
}

unsafe fn rename(r: *mut ngx_http_request_t, old: &Name, new: &Name) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        let mut values: Vec<_> = named(r, old)
            .map(|header| request::bytes(header.value).to_vec())
            .collect();
        if *old.lower == *"content-type" {
            values.push(request::bytes((*r).headers_out.content_type).to_vec());
        }
        values.retain(|value| !value.is_empty());
        if values.is_empty() {
            return Some(());
        }
        remove(r, old)?;
        for value in values {
            match &*new.lower {
                "content-type" => {
                    set_content_type(r, ngx_str_t::from_bytes((*r).pool, &value)?);
                }
                _ => add(r, new, &value)?,
            }
        }
        Some(())
    }
}

/// Nginx sends none whose hash is zero.
fn hide(header: &mut ngx_table_elt_t) {
    header.hash = 0;
    header.value = ngx_str_t::default();
}

/// It is no header in Nginx's list.
unsafe fn set_content_type(r: *mut ngx_http_request_t, value: ngx_str_t) {
    // SAFETY: see `apply`; the value lives as long as the request.
    unsafe {
        let out = &mut (*r).headers_out;
        out.content_type = value;
        out.content_type_len = value.len;
        out.content_type_lowcase = ptr::null_mut();
        out.charset = ngx_str_t::default();
    }
}

/// One more.
///
/// # Safety
/// As [`apply`].
pub(super) unsafe fn push(
    r: *mut ngx_http_request_t,
    key: &str,
    value: &[u8],
) -> Option<*mut ngx_table_elt_t> {
    // SAFETY: see `apply`; all is copied to the request's pool.
    unsafe {
        let key = ngx_str_t::from_bytes((*r).pool, key.as_bytes())?;
        let value = ngx_str_t::from_bytes((*r).pool, value)?;
        let header = ngx_list_push(&raw mut (*r).headers_out.headers).cast::<ngx_table_elt_t>();
        if header.is_null() {
            return None;
        }
        // Newer Nginx has one more field than older.
        header.write(mem::zeroed());
        (*header).hash = 1;
        (*header).key = key;
        (*header).value = value;
        Some(header)
    }
}
