//! Headers of a request, changed before it goes to a dyno.

use std::{mem, ptr};

use ngx::ffi::{
    ngx_hash_key, ngx_http_request_t, ngx_list_push, ngx_pnalloc, ngx_str_t, ngx_table_elt_t,
};
use rules::{Name, Op};

use crate::{headers, request};

/// `None`: no memory.
///
/// # Safety
/// `r` is a live main request whose upstream has no request yet.
pub(super) unsafe fn apply(r: *mut ngx_http_request_t, op: Op<'_>) -> Option<()> {
    // SAFETY: as the caller says.
    unsafe {
        match op {
            Op::Set(name, value) => set(r, name, value.as_bytes()),
            Op::Add(name, value) => add(r, name, value.as_bytes()),
            Op::Remove(name) => remove(r, |header| is(header, name)),
            Op::Rename(old, new) => {
                let values: Vec<_> = request::headers(&raw mut (*r).headers_in.headers)
                    .filter(|header| is(header, old))
                    .map(|header| request::bytes(header.value))
                    .collect();
                if values.is_empty() {
                    return Some(());
                }
                remove(r, |header| is(header, old))?;
                values.into_iter().try_for_each(|value| add(r, new, value))
            }
        }
    }
}

/// Removes whatever a dyno may take for this header: some read `_` as `-`.
///
/// # Safety
/// As [`apply`].
pub(crate) unsafe fn strip(r: *mut ngx_http_request_t, name: &Name) -> Option<()> {
    let dashed = |b: u8| {
        if b == b'_' {
            b'-'
        } else {
            b.to_ascii_lowercase()
        }
    };
    let like = |header: &ngx_table_elt_t| {
        // SAFETY: a header's name lives as long as the header.
        let key = unsafe { request::bytes(header.key) };
        let (key, name) = (key.iter().copied(), name.lower.bytes());
        key.map(dashed).eq(name.map(dashed))
    };
    // SAFETY: as the caller says.
    unsafe { remove(r, like) }
}

/// Removes the credentials that `unwanted` picks.
///
/// # Safety
/// As [`apply`].
pub(super) unsafe fn remove_credentials(
    r: *mut ngx_http_request_t,
    unwanted: impl Fn(&[u8]) -> bool,
) -> Option<()> {
    let picked = |header: &ngx_table_elt_t| {
        // SAFETY: a header lives as long as its request.
        let (key, value) = unsafe { (request::bytes(header.key), request::bytes(header.value)) };
        key.eq_ignore_ascii_case(b"authorization") && unwanted(value)
    };
    // SAFETY: as the caller says.
    unsafe { remove(r, picked) }
}

fn is(header: &ngx_table_elt_t, name: &Name) -> bool {
    // SAFETY: a header's name lives as long as the header.
    unsafe { request::bytes(header.key) }.eq_ignore_ascii_case(name.lower.as_bytes())
}

/// Where there is one it stays in its place: Nginx has pointers to those that it knows.
unsafe fn set(r: *mut ngx_http_request_t, name: &Name, value: &[u8]) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        let first = request::headers(&raw mut (*r).headers_in.headers).find(|h| is(h, name));
        let Some(first) = first else {
            return add(r, name, value);
        };
        first.value = ended(r, value)?;
        let first: *const ngx_table_elt_t = first;
        let other = |header: &ngx_table_elt_t| is(header, name) && !std::ptr::eq(header, first);
        remove(r, other)
    }
}

/// # Safety
/// As [`apply`].
pub(crate) unsafe fn add(r: *mut ngx_http_request_t, name: &Name, value: &[u8]) -> Option<()> {
    // SAFETY: as the caller says; all is copied to the request's pool.
    unsafe {
        let (key, lower) = (
            ended(r, name.spelled.as_bytes())?,
            ended(r, name.lower.as_bytes())?,
        );
        let value = ended(r, value)?;
        let list = &raw mut (*r).headers_in.headers;
        let header = ngx_list_push(list).cast::<ngx_table_elt_t>();
        if header.is_null() {
            return None;
        }
        // Newer Nginx has one more field than older.
        header.write(mem::zeroed());
        (*header).hash = ngx_hash_key(lower.data, lower.len);
        (*header).key = key;
        (*header).lowcase_key = lower.data;
        (*header).value = value;
        Some(())
    }
}

/// Those that Nginx knows go on to have a pointer to them, so they are emptied too.
unsafe fn remove(
    r: *mut ngx_http_request_t,
    unwanted: impl Fn(&ngx_table_elt_t) -> bool,
) -> Option<()> {
    // SAFETY: see `apply`.
    unsafe {
        let list = &mut (*r).headers_in.headers;
        // What is looked at may be emptied, so it is looked at once.
        let found: Vec<*const ngx_table_elt_t> = request::headers(list)
            .filter(|header| unwanted(header))
            .map(|header| {
                header.value.len = 0;
                ptr::from_ref(header)
            })
            .collect();
        match found.is_empty() {
            true => Some(()),
            false => headers::cut(r, list, |header| found.contains(&ptr::from_ref(header))),
        }
    }
}

/// A copy with a zero behind it, as Nginx has its headers.
unsafe fn ended(r: *mut ngx_http_request_t, text: &[u8]) -> Option<ngx_str_t> {
    // SAFETY: see `apply`; it is as long as what was allocated.
    unsafe {
        let data = ngx_pnalloc((*r).pool, text.len() + 1).cast::<u8>();
        if data.is_null() {
            return None;
        }
        data.copy_from_nonoverlapping(text.as_ptr(), text.len());
        *data.add(text.len()) = 0;
        Some(ngx_str_t {
            len: text.len(),
            data,
        })
    }
}
