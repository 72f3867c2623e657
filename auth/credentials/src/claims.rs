//! What a token says, held against what it has to say, and as headers.

use auth::Jwt;
use serde_json::Value;

use crate::document::Wrong;

/// Seconds that clocks may differ.
const LEEWAY: u64 = 10;

/// Whether a token is for here and now. Returns until when, in seconds since 1970.
pub(crate) fn check(claims: &Value, jwt: &Jwt, now: u64) -> Result<u64, Wrong> {
    if claims.get("iss").ok_or(Wrong::Claims)? != &*jwt.issuer {
        return Err(Wrong::Issuer);
    }
    let is_ours = |one: &Value| jwt.audiences.iter().any(|own| one == &**own);
    let ours = match claims.get("aud").ok_or(Wrong::Claims)? {
        Value::Array(all) => all.iter().any(is_ours),
        one => is_ours(one),
    };
    if !ours {
        return Err(Wrong::Audience);
    }
    let until = time(claims.get("exp").ok_or(Wrong::Claims)?)?.saturating_add(LEEWAY);
    if now >= until {
        return Err(Wrong::Expired);
    }
    match claims.get("nbf") {
        Some(from) if time(from)? > now.saturating_add(LEEWAY) => Err(Wrong::Early),
        _ => Ok(until),
    }
}

/// Whole seconds; some write parts of them.
fn time(value: &Value) -> Result<u64, Wrong> {
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0);
    // A float that is too large becomes the largest.
    seconds.map(|seconds| seconds as u64).ok_or(Wrong::Claims)
}

/// A member of the token, or what a JSON pointer leads to.
pub(crate) fn find<'a>(claims: &'a Value, name: &str) -> Option<&'a Value> {
    match name.starts_with('/') {
        true => claims.pointer(name),
        false => claims.get(name),
    }
}

/// A claim as a header has it: no two look the same. `None`: it is none.
pub(crate) fn header_value(claim: &Value) -> Option<String> {
    let mut out = String::new();
    match claim {
        Value::Array(all) => {
            for (n, one) in all.iter().enumerate() {
                if n > 0 {
                    out.push(',');
                }
                push(one, true, &mut out)?;
            }
        }
        one => push(one, false, &mut out)?,
    }
    Some(out)
}

fn push(one: &Value, in_list: bool, out: &mut String) -> Option<()> {
    match one {
        Value::String(text) => escape(text, in_list, out),
        Value::Number(number) => out.push_str(&number.to_string()),
        Value::Bool(yes) => out.push_str(if *yes { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => return None,
    }
    Some(())
}

/// Percent-encodes what a header can't have, the percent sign itself, blanks at the
/// ends, and commas of what is in a list.
fn escape(text: &str, in_list: bool, out: &mut String) {
    let last = text.len().saturating_sub(1);
    for (at, byte) in text.bytes().enumerate() {
        let inner = at > 0 && at < last;
        let plain = match byte {
            b'%' => false,
            b',' => !in_list,
            b' ' => inner,
            byte => byte.is_ascii_graphic(),
        };
        match plain {
            true => out.push(char::from(byte)),
            false => {
                let digit = |n: u8| char::from(b"0123456789ABCDEF"[usize::from(n)]);
                out.extend(['%', digit(byte >> 4), digit(byte & 15)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn claims_as_headers() {
        for (claim, header) in [
            (json!("ann"), Some("ann")),
            (json!("a b"), Some("a b")),
            (json!(" a "), Some("%20a%20")),
            (json!("a\r\nX: y"), Some("a%0D%0AX: y")),
            (json!("50%"), Some("50%25")),
            (json!("ü"), Some("%C3%BC")),
            (json!("a,b"), Some("a,b")),
            (json!(["a,b", "c", 1]), Some("a%2Cb,c,1")),
            (json!([]), Some("")),
            (json!(true), Some("true")),
            (json!(1.5), Some("1.5")),
            (json!(null), None),
            (json!({"a": 1}), None),
            (json!([["a"]]), None),
        ] {
            assert_eq!(header_value(&claim).as_deref(), header, "{claim}");
        }
    }

    #[test]
    fn a_claim_is_found_by_name_or_pointer() {
        let claims = json!({"a": {"b": ["x"]}, "https://id/role": 1});
        assert_eq!(find(&claims, "/a/b"), Some(&json!(["x"])));
        assert_eq!(find(&claims, "https://id/role"), Some(&json!(1)));
        assert_eq!(find(&claims, "b"), None);
        assert_eq!(find(&claims, "/a/c"), None);
    }
}
