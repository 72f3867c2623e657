//! Which requests of an app come to the same dyno: a word, which is read here only to see
//! whether it is one.

use dynomesh_proto::v1::{self, operation::Kind};

use super::Malformed;

/// Longest name of a cookie or header, in bytes.
const MAX_NAME: usize = 64;

/// What somebody sets. Whether it is right depends on it alone, so it is the same on
/// every host.
pub(super) fn sticky_from_proto(given: String) -> Result<Box<str>, Malformed> {
    let name = given
        .strip_prefix("cookie:")
        .or_else(|| given.strip_prefix("header:"));
    // Some more may be in a name; nobody has one with them.
    let token = |c: char| c.is_ascii_alphanumeric() || "!$%&'*+-.^_`|~".contains(c);
    let key = |key: &str| key.len() == 16 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
    let own = given
        .strip_prefix("cookie#")
        .or_else(|| given.strip_prefix("cookie?"));
    let valid = match (name, own) {
        (Some(name), _) => (1..=MAX_NAME).contains(&name.len()) && name.chars().all(token),
        (None, Some(given)) => key(given),
        (None, None) => given.is_empty(),
    };
    let why = match &*given {
        _ if valid => return Ok(given.into()),
        "cookie" => "\"cookie\" needs a key here, of 16 hexadecimal digits: cookie?KEY, which \
                     counts where the app has none, or cookie#KEY"
            .to_owned(),
        given => format!(
            "\"{}\" is none of cookie, cookie:NAME and header:NAME",
            given.chars().take(100).collect::<String>()
        ),
    };
    Err(Malformed::new("put_sticky", why))
}

/// Cookies of the mesh's own are sealed with a key of their app. A change that asks for them
/// brings one, for an app that has none.
pub fn give_keys(change: &mut v1::Change, mut fresh: impl FnMut() -> u64) {
    for operation in &mut change.operations {
        if let Some(Kind::PutSticky(sticky)) = &mut operation.kind
            && sticky == "cookie"
        {
            *sticky = format!("cookie?{:016x}", fresh());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_of_the_meshs_own_gets_a_key_once() {
        let put = |sticky: &str| v1::Operation {
            kind: Some(Kind::PutSticky(sticky.into())),
        };
        let given = ["cookie", "cookie#00000000000000ff", "cookie:a", ""];
        let mut change = v1::Change {
            operations: given.map(put).into(),
            ..v1::Change::default()
        };
        give_keys(&mut change, || 0xab);
        let want = ["cookie?00000000000000ab", given[1], given[2], given[3]];
        assert_eq!(change.operations, want.map(put));
        for sticky in want {
            let read = sticky_from_proto(sticky.into()).expect("it is one");
            assert_eq!(&*read, sticky);
        }
        for wrong in [
            "cookie",
            "cookie#",
            "cookie#ab",
            "cookie#00000000000000ag",
            "cookie:",
            "cookie:a#b",
        ] {
            assert!(sticky_from_proto(wrong.into()).is_err(), "{wrong}");
        }
    }
}
