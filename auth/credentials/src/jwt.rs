//! Tokens, as RFC 7515 and 7519 have them, in their compact form and signed.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::{document::Wrong, jwks::Key};

/// What a token says, if it is signed with one of these keys.
///
/// The key is the one that the token names, and how it is used is up to the key: a
/// token can't choose another algorithm for it, nor bring a key of its own.
pub(crate) fn open(token: &[u8], keys: &[Key]) -> Result<Value, Wrong> {
    let mut parts = token.split(|b| *b == b'.');
    let (Some(head), Some(body), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Wrong::Malformed);
    };
    let header = object(head)?;
    if header.contains_key("crit") {
        return Err(Wrong::Critical);
    }
    let text = |name: &str| header.get(name).and_then(Value::as_str);
    let algorithm = text("alg").ok_or(Wrong::Algorithm)?;
    let id = text("kid").ok_or(Wrong::Key)?;
    let key = keys.iter().find(|key| *key.id == *id).ok_or(Wrong::Key)?;
    let signature = URL_SAFE_NO_PAD
        .decode(signature)
        .map_err(|_| Wrong::Malformed)?;
    let message = &token[..head.len() + 1 + body.len()];
    match key.signed(algorithm, message, &signature) {
        None => Err(Wrong::Algorithm),
        Some(false) => Err(Wrong::Signature),
        Some(true) => Ok(Value::Object(object(body)?)),
    }
}

fn object(part: &[u8]) -> Result<Map<String, Value>, Wrong> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| Wrong::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| Wrong::Malformed)
}
