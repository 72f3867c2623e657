//! A path as it may be shown.

/// Bytes of it.
const MOST: usize = 200;

/// Without what follows a question mark, without a user and a password, and not too
/// long.
pub fn path(target: &[u8]) -> String {
    let end = target.iter().position(|byte| matches!(byte, b'?' | b'#'));
    let target = &target[..end.unwrap_or(target.len())];
    let path = match after_scheme(target) {
        Some(rest) => {
            let authority = rest.iter().position(|byte| *byte == b'/');
            &rest[authority.unwrap_or(rest.len())..]
        }
        None => target,
    };
    let text = String::from_utf8_lossy(&path[..path.len().min(MOST)]);
    let shown = |c: char| match c.is_control() {
        true => char::REPLACEMENT_CHARACTER,
        false => c,
    };
    let mut text: String = text.chars().map(shown).collect();
    // Whatever was no text has become longer.
    text.truncate(text.floor_char_boundary(MOST));
    text
}

/// An absolute target has an authority here, in which may be a password.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let at = target.windows(3).position(|part| part == b"://")?;
    let scheme = &target[..at];
    let is_scheme = !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphanumeric);
    is_scheme.then(|| &target[at + 3..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_no_secrets() {
        for (target, shown) in [
            ("/a/b?token=x", "/a/b"),
            ("/a#b", "/a"),
            ("http://me:secret@shop.test/a?b", "/a"),
            ("http://me:secret@shop.test", ""),
            ("/x://y/z", "/x://y/z"),
            ("*", "*"),
            ("/\u{1b}[31m", "/\u{fffd}[31m"),
        ] {
            assert_eq!(path(target.as_bytes()), shown, "{target}");
        }
        assert!(path("/é".repeat(300).as_bytes()).starts_with("/é/é"));
        for long in ["/é".repeat(300).as_bytes(), &[0xff; 300]] {
            assert!((MOST - 3..=MOST).contains(&path(long).len()));
        }
    }
}
