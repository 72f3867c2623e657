//! Who may look.

use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use sha2::{Digest as _, Sha256};

/// The secret, or that there is none.
#[derive(Clone)]
pub struct Guard(Option<[u8; 32]>);

impl Guard {
    /// Lets those in who have this token; without one, who comes to this very host.
    pub fn new(token: Option<&str>) -> Self {
        Self(token.map(digest))
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        if is_another_pages(headers) {
            return false;
        }
        match &self.0 {
            Some(secret) => given(headers).is_some_and(|token| same(&digest(&token), secret)),
            None => names_this_host(headers),
        }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token).into()
}

/// In the same time, wherever they differ.
fn same(a: &[u8; 32], b: &[u8; 32]) -> bool {
    let differences = a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b));
    std::hint::black_box(differences) == 0
}

/// `Bearer TOKEN`, or what a browser makes of a token that somebody types as the
/// password: `Basic`.
fn given(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(BASE64_STANDARD.decode(rest.trim()).ok()?).ok()?;
    let (_, password) = decoded.split_once(':')?;
    Some(password.to_owned())
}

/// A page of somebody else's that a browser on this host shows can have a name of its
/// own lead here, and would be let in. Its requests have that name.
fn names_this_host(headers: &HeaderMap) -> bool {
    let Some(host) = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
    else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Browsers say when a page of somebody else's asks. It would not be told the answer,
/// and make work all the same. Whoever follows a link comes to see.
fn is_another_pages(headers: &HeaderMap) -> bool {
    let is = |name, value: &str| headers.get(name).is_some_and(|it| it == value);
    (is("sec-fetch-site", "cross-site") || is("sec-fetch-site", "same-site"))
        && !is("sec-fetch-mode", "navigate")
}

/// Turns others away.
pub(super) async fn check(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    if guard.allows(request.headers()) {
        return next.run(request).await;
    }
    match guard.0 {
        Some(_) => {
            let challenge = [(header::WWW_AUTHENTICATE, "Basic realm=\"dynomesh\"")];
            let words = "the token of web-token-file is needed (Authorization: Bearer TOKEN)\n";
            (StatusCode::UNAUTHORIZED, challenge, words).into_response()
        }
        None => {
            let words = "come as localhost or 127.0.0.1, or set web-token-file\n";
            (StatusCode::FORBIDDEN, words).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(token: Option<&str>, name: header::HeaderName, value: &str) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().expect("a header"));
        Guard::new(token).allows(&headers)
    }

    #[test]
    fn with_a_token_only_who_has_it() {
        let with = |value: &str| allows(Some("s3cret:and more"), header::AUTHORIZATION, value);
        assert!(with("Bearer s3cret:and more") && with("bearer s3cret:and more "));
        let basic = BASE64_STANDARD.encode("me:s3cret:and more");
        assert!(with(&format!("Basic {basic}")));
        let wrong = BASE64_STANDARD.encode("s3cret:and more");
        for bad in [
            "",
            "Bearer",
            "Bearer s3cret",
            "s3cret:and more",
            "Basic ***",
        ] {
            assert!(!with(bad), "{bad}");
        }
        assert!(!with(&format!("Basic {wrong}")));
        assert!(!allows(Some("x"), header::HOST, "127.0.0.1"));
    }

    #[test]
    fn pages_of_others_get_nothing() {
        let with = |site: &str, mode: &str| {
            let headers = [
                ("host", "127.0.0.1"),
                ("sec-fetch-site", site),
                ("sec-fetch-mode", mode),
            ];
            let headers = headers.map(|(name, value)| {
                let value = value.parse().expect("a header");
                (header::HeaderName::from_static(name), value)
            });
            Guard::new(None).allows(&HeaderMap::from_iter(headers))
        };
        assert!(with("same-origin", "cors") && with("none", "navigate"));
        assert!(with("cross-site", "navigate"));
        assert!(!with("cross-site", "cors") && !with("cross-site", "no-cors"));
        assert!(!with("same-site", "cors"));
    }

    #[test]
    fn without_one_only_who_calls_this_host_by_its_name() {
        let with = |host: &str| allows(None, header::HOST, host);
        for good in [
            "localhost",
            "LOCALHOST:9280",
            "127.0.0.1:9280",
            "127.9.9.9",
            "[::1]:80",
            "[::1]",
        ] {
            assert!(with(good), "{good}");
        }
        for bad in [
            "",
            "evil.example",
            "localhost.evil.example:9280",
            "10.0.0.1",
            "[fe80::1]:1",
        ] {
            assert!(!with(bad), "{bad}");
        }
    }
}
