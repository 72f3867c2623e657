//! A request as rules look at it.

use std::{borrow::Cow, net::IpAddr};

use ngx::ffi::{ngx_hash_key, ngx_http_get_variable, ngx_http_request_t, ngx_str_t};
use rules::Request;

use crate::request;

/// A live request.
pub(super) struct Seen<'a> {
    r: *mut ngx_http_request_t,
    host: &'a str,
    app: &'a str,
}

impl<'a> Seen<'a> {
    /// # Safety
    /// `r` is a live request, and lives as long as this is used.
    pub(super) unsafe fn new(r: *mut ngx_http_request_t, host: &'a str, app: &'a str) -> Self {
        Self { r, host, app }
    }

    /// A variable of Nginx's.
    fn variable(&self, name: &'static str) -> Cow<'_, [u8]> {
        // SAFETY: the request is live; Nginx reads the name and no more.
        unsafe {
            let mut name = ngx_str_t {
                len: name.len(),
                data: name.as_ptr().cast_mut(),
            };
            let key = ngx_hash_key(name.data, name.len);
            let value = ngx_http_get_variable(self.r, &raw mut name, key);
            match value.as_ref().filter(|value| value.not_found() == 0) {
                Some(value) => Cow::Borrowed(request::bytes(ngx_str_t {
                    len: value.len() as usize,
                    data: value.data,
                })),
                None => Cow::Borrowed(b""),
            }
        }
    }
}

impl Request for Seen<'_> {
    fn method(&self) -> &[u8] {
        // SAFETY: see `new`.
        unsafe { request::bytes((*self.r).method_name) }
    }

    fn path(&self) -> &[u8] {
        // SAFETY: see `new`.
        unsafe { request::bytes((*self.r).uri) }
    }

    fn query(&self) -> &[u8] {
        // SAFETY: see `new`.
        unsafe { request::bytes((*self.r).args) }
    }

    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        // SAFETY: see `new`; nothing changes the headers meanwhile.
        unsafe {
            request::headers(&raw mut (*self.r).headers_in.headers).any(|header| {
                let key = request::bytes(header.key);
                key.eq_ignore_ascii_case(name.as_bytes()) && like(request::bytes(header.value))
            })
        }
    }

    fn header_names(&self, each: &mut dyn FnMut(&[u8])) {
        // SAFETY: see `new`; nothing changes the headers meanwhile.
        unsafe {
            for header in request::headers(&raw mut (*self.r).headers_in.headers) {
                each(request::bytes(header.key));
            }
        }
    }

    fn client(&self) -> Option<IpAddr> {
        // SAFETY: see `new`.
        unsafe { request::client(self.r) }
    }

    fn client_text(&self) -> Cow<'_, [u8]> {
        // SAFETY: see `new`.
        Cow::Borrowed(unsafe { request::bytes((*(*self.r).connection).addr_text) })
    }

    fn scheme(&self) -> &str {
        match &*self.variable("scheme") {
            b"https" => "https",
            _ => "http",
        }
    }

    fn host(&self) -> &[u8] {
        self.host.as_bytes()
    }

    fn app(&self) -> &str {
        self.app
    }

    fn id(&self) -> Cow<'_, [u8]> {
        self.variable("request_id")
    }

    fn chance(&self) -> u32 {
        rand::random()
    }
}
