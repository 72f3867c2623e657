//! Names that apps answer to, and finding the app for one.

use std::{borrow::Cow, collections::HashMap};

use smol_str::SmolStr;

use crate::{AppKey, ChangeError};

/// Longest name in the DNS, RFC 1035 section 2.3.4.
const MAX_NAME: usize = 253;
/// Longest label, same place.
const MAX_LABEL: usize = 63;

/// A name as it is looked up: lower case, without port and trailing dot.
pub fn canonical(name: &str) -> Cow<'_, str> {
    let name = without_port(name);
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(name.to_ascii_lowercase())
    } else {
        Cow::Borrowed(name)
    }
}

fn without_port(name: &str) -> &str {
    match name.rsplit_once(':') {
        // "::1" without brackets has colons too, and no port.
        Some((host, port))
            if port.bytes().all(|b| b.is_ascii_digit())
                && (!host.contains(':') || host.ends_with(']')) =>
        {
            host
        }
        _ => name,
    }
}

/// Checks a domain that an app shall answer to and gives its canonical form.
///
/// # Errors
/// [`ChangeError::Invalid`] for anything but a name, an IP address, or a name
/// behind one leading `*.`.
pub fn parse_domain(text: &str) -> Result<Box<str>, ChangeError> {
    let invalid = || {
        ChangeError::Invalid(format!(
            "domain \"{}\" is not a host name like www.example.com or *.example.com",
            text.chars().take(300).collect::<String>()
        ))
    };
    let name = canonical(text);
    let plain = name.strip_prefix("*.").unwrap_or(&name);
    let bracketed = plain.strip_prefix('[').and_then(|p| p.strip_suffix(']'));
    let valid = match bracketed {
        Some(v6) => plain.len() == name.len() && v6.parse::<std::net::Ipv6Addr>().is_ok(),
        None => plain.len() <= MAX_NAME && plain.split('.').all(valid_label),
    };
    if valid {
        Ok(name.into())
    } else {
        Err(invalid())
    }
}

fn valid_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= MAX_LABEL
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether there may be a name that both of these domains stand for.
pub(crate) fn overlap(one: &str, other: &str) -> bool {
    let within = |name: &str, end: &str| name.len() > end.len() && name.ends_with(end);
    match (one.strip_prefix('*'), other.strip_prefix('*')) {
        (None, None) => one == other,
        (Some(end), None) => within(other, end),
        (None, Some(end)) => within(one, end),
        (Some(one), Some(other)) => one.ends_with(other) || other.ends_with(one),
    }
}

/// Which app answers to which name.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    exact: HashMap<SmolStr, AppKey>,
    /// By what follows the `*.`.
    wildcard: HashMap<SmolStr, AppKey>,
}

impl Directory {
    /// The app for a name: the exact one, else the longest wildcard that fits.
    /// As in Nginx, `*.example.com` stands for any number of labels.
    pub(crate) fn lookup(&self, name: &str) -> Option<AppKey> {
        let name = canonical(name);
        if let Some(app) = self.exact.get(&*name) {
            return Some(*app);
        }
        if self.wildcard.is_empty() || name.len() > MAX_NAME {
            return None;
        }
        let mut rest = &*name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(app) = self.wildcard.get(parent) {
                return Some(*app);
            }
            rest = parent;
        }
        None
    }

    /// Who has this very domain (in canonical form).
    pub(crate) fn owner(&self, domain: &str) -> Option<AppKey> {
        match domain.strip_prefix("*.") {
            Some(parent) => self.wildcard.get(parent).copied(),
            None => self.exact.get(domain).copied(),
        }
    }

    /// How many names there are.
    pub(crate) fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }

    pub(crate) fn insert(&mut self, domain: &str, app: AppKey) {
        match domain.strip_prefix("*.") {
            Some(parent) => self.wildcard.insert(parent.into(), app),
            None => self.exact.insert(domain.into(), app),
        };
    }

    pub(crate) fn remove(&mut self, domain: &str) {
        match domain.strip_prefix("*.") {
            Some(parent) => self.wildcard.remove(parent),
            None => self.exact.remove(domain),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_drops_case_port_and_dot() {
        for (given, wanted) in [
            ("Example.COM:8080", "example.com"),
            ("example.com.", "example.com"),
            ("example.com.:80", "example.com"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("a", "a"),
        ] {
            assert_eq!(canonical(given), wanted, "{given}");
        }
    }

    #[test]
    fn domains_are_checked() {
        for good in [
            "a",
            "localhost",
            "*.example.com",
            "a_b.c-d.e",
            "127.0.0.1",
            "[::1]",
            "xn--bcher-kva.example",
        ] {
            assert!(parse_domain(good).is_ok(), "{good}");
        }
        let long = format!("{}.com", "a".repeat(64));
        for bad in [
            "", ".", "*", "*.", "a..b", "-a.b", "a b", "a/b", "*.*.a", "a.*", "ä.de", "[::g]",
            "*.[::1]", &long,
        ] {
            assert!(parse_domain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn exact_before_longest_wildcard() {
        let mut d = Directory::default();
        d.insert("www.example.com", AppKey(1));
        d.insert("*.example.com", AppKey(2));
        d.insert("*.a.example.com", AppKey(3));
        assert_eq!(d.lookup("WWW.example.com:80"), Some(AppKey(1)));
        assert_eq!(d.lookup("x.example.com"), Some(AppKey(2)));
        assert_eq!(d.lookup("x.y.example.com"), Some(AppKey(2)));
        assert_eq!(d.lookup("x.y.a.example.com"), Some(AppKey(3)));
        assert_eq!(d.lookup("example.com"), None);
        d.remove("*.a.example.com");
        assert_eq!(d.lookup("x.a.example.com"), Some(AppKey(2)));
    }
}
