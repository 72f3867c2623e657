//! Tokens, and who signs them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING as HOW, EcdsaKeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// Signs with a key of its own, by ES256.
#[derive(Debug)]
pub struct Issuer {
    /// What the key is called.
    pub kid: String,
    key: EcdsaKeyPair,
}

impl Issuer {
    /// With a new key of this name.
    #[must_use]
    pub fn new(kid: &str) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(&HOW, &random).expect("a key can be made");
        let key = EcdsaKeyPair::from_pkcs8(&HOW, key.as_ref(), &random);
        Self {
            kid: kid.to_owned(),
            key: key.expect("it was made just now"),
        }
    }

    /// Its public half, as in a set.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        json!({"kty": "EC", "crv": "P-256", "alg": "ES256", "kid": self.kid, "x": x, "y": y})
    }

    /// A token that says this.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.kid});
        let encoded = |part: &Value| URL_SAFE_NO_PAD.encode(part.to_string());
        let message = format!("{}.{}", encoded(&header), encoded(claims));
        let signature = self.key.sign(&SystemRandom::new(), message.as_bytes());
        let signature = URL_SAFE_NO_PAD.encode(signature.expect("a signature"));
        format!("{message}.{signature}")
    }
}

/// A set of the keys of these.
#[must_use]
pub fn jwks(issuers: &[&Issuer]) -> String {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}
