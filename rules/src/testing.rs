//! A request for tests.

use std::{borrow::Cow, net::IpAddr};

use crate::request::Request;

#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: String,
    pub(crate) path: Vec<u8>,
    pub(crate) query: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) client: Option<IpAddr>,
    pub(crate) chance: u32,
    pub(crate) id: &'static str,
}

impl Default for Sent {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: b"/".into(),
            query: String::new(),
            headers: Vec::new(),
            client: "192.0.2.7".parse().ok(),
            chance: 0,
            id: "5f2c",
        }
    }
}

impl Sent {
    pub(crate) fn to(path: &str) -> Self {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        Self {
            path: path.into(),
            query: query.into(),
            ..Self::default()
        }
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

impl Request for Sent {
    fn method(&self) -> &[u8] {
        self.method.as_bytes()
    }
    fn path(&self) -> &[u8] {
        &self.path
    }
    fn query(&self) -> &[u8] {
        self.query.as_bytes()
    }
    fn has_header(&self, name: &str, like: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let mut all = self.headers.iter();
        all.any(|(key, value)| key.eq_ignore_ascii_case(name) && like(value.as_bytes()))
    }
    fn header_names(&self, each: &mut dyn FnMut(&[u8])) {
        self.headers
            .iter()
            .for_each(|(key, _)| each(key.as_bytes()));
    }
    fn client(&self) -> Option<IpAddr> {
        self.client
    }
    fn client_text(&self) -> Cow<'_, [u8]> {
        let text = self.client.map(|client| client.to_string());
        Cow::Owned(text.unwrap_or_else(|| "unix:".into()).into())
    }
    fn scheme(&self) -> &str {
        "http"
    }
    fn host(&self) -> &[u8] {
        b"shop.example"
    }
    fn app(&self) -> &str {
        "shop"
    }
    fn id(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.id.as_bytes())
    }
    fn chance(&self) -> u32 {
        self.chance
    }
}
