//! The start line and the headers of a message.

use std::io;

use bytes::Bytes;

use super::Body;

/// A head, taken apart but not changed.
#[derive(Debug, Clone)]
pub struct Head {
    /// The first line.
    pub start: String,
    /// Names as they came, in order.
    pub headers: Vec<(String, String)>,
}

impl Head {
    /// Takes a head apart. Fails only on a header line with no colon.
    pub fn parse(bytes: &Bytes) -> io::Result<Self> {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split("\r\n");
        let start = lines.next().unwrap_or_default().to_owned();
        let headers = lines
            .filter(|line| !line.is_empty())
            .map(|line| match line.split_once(':') {
                Some((name, value)) => Ok((name.to_owned(), value.trim().to_owned())),
                None => Err(io::Error::other(format!("not a header: {line:?}"))),
            })
            .collect::<io::Result<_>>()?;
        Ok(Self { start, headers })
    }

    /// The first header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(given, _)| given.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Of a request: its method.
    #[must_use]
    pub fn method(&self) -> &str {
        self.start.split(' ').next().unwrap_or_default()
    }

    /// Of a request: its target, byte for byte.
    #[must_use]
    pub fn target(&self) -> &str {
        self.start.split(' ').nth(1).unwrap_or_default()
    }

    /// Of a response: its status; 0 when there is none.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.target().parse().unwrap_or(0)
    }

    /// The connection may serve another message after this one.
    #[must_use]
    pub fn keeps_connection(&self) -> bool {
        match self.header("connection") {
            Some(value) if value.eq_ignore_ascii_case("close") => false,
            Some(value) if value.eq_ignore_ascii_case("keep-alive") => true,
            _ => self.start.contains("HTTP/1.1"),
        }
    }

    /// The framing of a request's body.
    #[must_use]
    pub fn request_body(&self) -> Body {
        self.framing().unwrap_or(Body::Done)
    }

    /// The framing of a response's body.
    #[must_use]
    pub fn response_body(&self, to_head: bool) -> Body {
        let status = self.status();
        if to_head || status < 200 || status == 204 || status == 304 {
            return Body::Done;
        }
        self.framing().unwrap_or(Body::ToEnd)
    }

    fn framing(&self) -> Option<Body> {
        if self
            .header("transfer-encoding")
            .is_some_and(|value| value.to_ascii_lowercase().contains("chunked"))
        {
            return Some(Body::CHUNKED);
        }
        Some(Body::Length(self.header("content-length")?.parse().ok()?))
    }
}
