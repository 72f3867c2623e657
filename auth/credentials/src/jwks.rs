//! Public keys, as RFC 7517 writes them.

use auth::{MAX_KEYS, MAX_TEXT};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    signature::{self, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm},
};
use serde_json::Value;

/// Bytes of an RSA key's modulus.
const RSA_BYTES: std::ops::RangeInclusive<usize> = 256..=1_024;
/// A shared secret has at least as many bytes as its hash.
const LEAST_SECRET: usize = 32;

/// What a key is.
#[derive(Clone)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
    Secret(Vec<u8>),
}

/// A key that tokens are signed with.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Box<str>,
    /// The only algorithm that it is for, if it says so.
    algorithm: Option<Box<str>>,
    material: Material,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({:?})", self.id)
    }
}

impl Key {
    /// Whether a message is signed with it by this algorithm. `None`: the algorithm is
    /// not one for this key.
    pub(crate) fn signed(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> Option<bool> {
        if self
            .algorithm
            .as_deref()
            .is_some_and(|own| own != algorithm)
        {
            return None;
        }
        let public = |how: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(how, key)
                .verify(message, signature)
                .is_ok()
        };
        Some(match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => RsaPublicKeyComponents { n, e }
                .verify(rsa(algorithm)?, message, signature)
                .is_ok(),
            (Material::P256(key), "ES256") => public(&signature::ECDSA_P256_SHA256_FIXED, key),
            (Material::P384(key), "ES384") => public(&signature::ECDSA_P384_SHA384_FIXED, key),
            (Material::Ed25519(key), "EdDSA" | "Ed25519") => public(&signature::ED25519, key),
            (Material::Secret(key), _) => {
                let (how, least) = mac(algorithm)?;
                if key.len() < least {
                    return None;
                }
                // In the same time, whatever is wrong.
                hmac::verify(&hmac::Key::new(how, key), message, signature).is_ok()
            }
            _ => return None,
        })
    }
}

fn rsa(algorithm: &str) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        "RS256" => &signature::RSA_PKCS1_2048_8192_SHA256,
        "RS384" => &signature::RSA_PKCS1_2048_8192_SHA384,
        "RS512" => &signature::RSA_PKCS1_2048_8192_SHA512,
        "PS256" => &signature::RSA_PSS_2048_8192_SHA256,
        "PS384" => &signature::RSA_PSS_2048_8192_SHA384,
        "PS512" => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return None,
    })
}

fn mac(algorithm: &str) -> Option<(hmac::Algorithm, usize)> {
    Some(match algorithm {
        "HS256" => (hmac::HMAC_SHA256, 32),
        "HS384" => (hmac::HMAC_SHA384, 48),
        "HS512" => (hmac::HMAC_SHA512, 64),
        _ => return None,
    })
}

/// Keys of a set that are of use. Those of a kind that is not known are passed over,
/// as the RFC has it; there has to be one.
pub(crate) fn parse(json: &str) -> Result<Vec<Key>, String> {
    let set: Value =
        serde_json::from_str(json).map_err(|error| format!("the keys are no JSON: {error}"))?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("expected keys as RFC 7517 has them: {\"keys\":[…]}")?;
    if keys.len() > MAX_KEYS {
        return Err(format!("there are at most {MAX_KEYS} keys"));
    }
    let mut all: Vec<Key> = Vec::new();
    for (number, key) in (1..).zip(keys) {
        let read = read(key).map_err(|what| format!("key {number} {what}"))?;
        let Some(key) = read else { continue };
        if all.iter().any(|other| other.id == key.id) {
            return Err(format!("key {number} has the kid of another one"));
        }
        all.push(key);
    }
    match all.is_empty() {
        true => Err("there is no key that a signature can be checked with".into()),
        false => Ok(all),
    }
}

/// `None`: it is for something else, or not known.
fn read(key: &Value) -> Result<Option<Key>, String> {
    let text = |name: &str| match key.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(format!("has a {name} that is no text")),
    };
    let kind = text("kty")?.ok_or("has no kty")?;
    if text("use")?.is_some_and(|used| used != "sig") {
        return Ok(None);
    }
    if let Some(ops) = key.get("key_ops").and_then(Value::as_array)
        && !ops.iter().any(|op| op == "verify")
    {
        return Ok(None);
    }
    let bytes = |name: &str| -> Result<Vec<u8>, String> {
        let text = text(name)?.ok_or_else(|| format!("has no {name}"))?;
        let bytes = URL_SAFE_NO_PAD.decode(text);
        bytes.map_err(|_| format!("has a {name} that is not base64url"))
    };
    if kind != "oct" && key.get("d").is_some() {
        return Err("is a private one: only its public half belongs here".into());
    }
    let material = match (kind, text("crv")?) {
        ("RSA", _) => {
            let (n, e) = (significant(bytes("n")?), significant(bytes("e")?));
            if !RSA_BYTES.contains(&n.len()) || !(1..=8).contains(&e.len()) {
                return Err("has not 2048 to 8192 bits".into());
            }
            Material::Rsa { n, e }
        }
        ("EC", Some("P-256")) => Material::P256(point(bytes("x")?, bytes("y")?, 32)?),
        ("EC", Some("P-384")) => Material::P384(point(bytes("x")?, bytes("y")?, 48)?),
        ("OKP", Some("Ed25519")) => match bytes("x")? {
            x if x.len() == 32 => Material::Ed25519(x),
            _ => return Err("has an x that has not 32 bytes".into()),
        },
        ("oct", _) => match bytes("k")? {
            secret if secret.len() >= LEAST_SECRET => Material::Secret(secret),
            _ => return Err(format!("is a secret of less than {LEAST_SECRET} bytes")),
        },
        _ => return Ok(None),
    };
    let id = text("kid")?.ok_or("has no kid: tokens are told apart by it")?;
    if id.len() > MAX_TEXT {
        return Err(format!("has a kid of more than {MAX_TEXT} bytes"));
    }
    Ok(Some(Key {
        id: id.into(),
        algorithm: text("alg")?.map(Into::into),
        material,
    }))
}

/// Some write zeros before a number.
fn significant(bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|b| **b == 0).count();
    bytes[zeros..].to_vec()
}

fn point(x: Vec<u8>, y: Vec<u8>, size: usize) -> Result<Vec<u8>, String> {
    match x.len() == size && y.len() == size {
        true => Ok([vec![4], x, y].concat()),
        false => Err(format!("has an x or y that has not {size} bytes")),
    }
}
