//! Which name a request is for.
//!
//! Nginx takes what stands before the first `:` of a Host header and ignores
//! the rest. A mesh of tenants is stricter: a Host that is not `name` or
//! `name:port` is the client's error (H26), and in a request that names its
//! target in absolute form that name counts, not the Host header (RFC 9112
//! section 3.2.2).

/// The name and port that a request is for, as the client wrote them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authority<'a> {
    /// Name or address, `[...]` around an IPv6 one.
    pub host: &'a [u8],
    /// Name and port as written: what the dyno shall see as Host.
    pub whole: &'a [u8],
}

/// Longest name that is looked up; longer ones can't be domains.
pub const MAX_HOST: usize = 255;

/// The authority of a request, from its first line and its Host header.
/// `None`: there is none, or it is malformed.
pub fn of_request<'a>(request_line: &'a [u8], host: Option<&'a [u8]>) -> Option<Authority<'a>> {
    match absolute_target(request_line) {
        Some(authority) => parse(authority),
        None => parse(host?),
    }
}

/// What stands between `scheme://` and the path, for a target in absolute form.
fn absolute_target(request_line: &[u8]) -> Option<&[u8]> {
    let start = request_line.iter().position(|b| *b == b' ')? + 1;
    let target = &request_line[start..];
    // Nearly every request: no need to look further.
    if target.first() == Some(&b'/') {
        return None;
    }
    let colon = target.iter().position(|b| *b == b':')?;
    let rest = target[colon..].strip_prefix(b"://")?;
    if !target[..colon].iter().all(u8::is_ascii_alphabetic) {
        return None;
    }
    let end = rest
        .iter()
        .position(|b| b"/?# ".contains(b))
        .unwrap_or(rest.len());
    Some(&rest[..end])
}

fn parse(whole: &[u8]) -> Option<Authority<'_>> {
    let (host, rest) = whole.split_at(host_end(whole)?);
    let bare = host.strip_suffix(b".").unwrap_or(host);
    let fits = !bare.is_empty() && host.len() <= MAX_HOST;
    let valid = match rest.split_first() {
        None => fits,
        Some((b':', port)) => fits && valid_port(port),
        Some(_) => false,
    };
    valid.then_some(Authority { host, whole })
}

/// Where the host ends, if it begins with a valid one.
fn host_end(whole: &[u8]) -> Option<usize> {
    if whole.first() == Some(&b'[') {
        let end = whole.iter().position(|b| *b == b']')?;
        let v6 = std::str::from_utf8(&whole[1..end]).ok()?;
        v6.parse::<std::net::Ipv6Addr>().ok()?;
        return Some(end + 1);
    }
    let end = whole.iter().position(|b| !IN_NAMES[usize::from(*b)]);
    Some(end.unwrap_or(whole.len()))
}

/// RFC 3986 allows an empty port (`name:`).
fn valid_port(port: &[u8]) -> bool {
    let digits = port.len() <= 5 && port.iter().all(u8::is_ascii_digit);
    digits && port.iter().fold(0_u32, |n, b| n * 10 + u32::from(b - b'0')) <= 65_535
}

/// What a name may have in it (RFC 3986, `reg-name`). Each request is asked this of each
/// byte, several times.
const IN_NAMES: [bool; 256] = {
    let mut all = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        all[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let others = b"-._~%!$&'()*+,;=";
    let mut at = 0;
    while at < others.len() {
        all[others[at] as usize] = true;
        at += 1;
    }
    all
};

#[cfg(test)]
mod tests {
    use super::*;

    fn host<'a>(line: &'a str, host: Option<&'a str>) -> Option<(&'a str, &'a str)> {
        let text = |b| std::str::from_utf8(b).expect("ascii");
        of_request(line.as_bytes(), host.map(str::as_bytes)).map(|a| (text(a.host), text(a.whole)))
    }

    #[test]
    fn host_header() {
        let line = "GET / HTTP/1.1";
        for (given, name) in [
            ("a.com", "a.com"),
            ("a.com:80", "a.com"),
            ("A.com.", "A.com."),
            ("a.com:", "a.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("127.0.0.1:8080", "127.0.0.1"),
            ("a_b", "a_b"),
        ] {
            assert_eq!(host(line, Some(given)), Some((name, given)), "{given}");
        }
        for bad in [
            "",
            ".",
            ":80",
            "a.com:notaport",
            "a.com:80junk",
            "a.com:65536",
            "a.com:80:80",
            "a b",
            "[::1",
            "[::1]x",
            "[zz]",
            "a.com/x",
            "user@a.com",
            "a.com:-1",
            "a\u{e9}",
        ] {
            assert_eq!(host(line, Some(bad)), None, "{bad}");
        }
        assert_eq!(host(line, None), None);
    }

    #[test]
    fn absolute_form_counts_more_than_host() {
        assert_eq!(
            host("GET http://a.com:81/x HTTP/1.1", Some("b.com")),
            Some(("a.com", "a.com:81"))
        );
        assert_eq!(
            host("GET http://a.com?x HTTP/1.1", None),
            Some(("a.com", "a.com"))
        );
        assert_eq!(
            host("GET http://a.com HTTP/1.1", Some("!")),
            Some(("a.com", "a.com"))
        );
        assert_eq!(host("GET http://a.com:x/ HTTP/1.1", Some("b.com")), None);
        assert_eq!(
            host("GET /http://a.com/ HTTP/1.1", Some("b.com")),
            Some(("b.com", "b.com"))
        );
        assert_eq!(
            host("OPTIONS * HTTP/1.1", Some("b.com")),
            Some(("b.com", "b.com"))
        );
    }
}
