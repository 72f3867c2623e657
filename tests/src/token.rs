//! Tokens, and who signs them.

use std::process::Command;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::{SecureRandom as _, SystemRandom},
    rsa,
    signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _},
};
use serde_json::{Value, json};

/// What a token can be signed by.
pub const ALGORITHMS: [&str; 12] = [
    "HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256",
    "ES384", "EdDSA",
];

/// Signs with a key of its own.
#[derive(Debug)]
pub struct Issuer {
    /// What the key is called.
    pub kid: String,
    algorithm: String,
    key: Key,
}

#[derive(Debug)]
enum Key {
    Secret(Vec<u8>),
    Rsa(rsa::KeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    /// With a new key of this name, by ES256.
    #[must_use]
    pub fn new(kid: &str) -> Self {
        Self::by("ES256", kid)
    }

    /// The same by one of [`ALGORITHMS`].
    ///
    /// # Panics
    /// There is no such algorithm, or no openssl to make a key with.
    #[must_use]
    pub fn by(algorithm: &str, kid: &str) -> Self {
        let random = SystemRandom::new();
        let key = match algorithm {
            "ES256" => ec(&signature::ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&signature::ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let key = Ed25519KeyPair::generate_pkcs8(&random).expect("a key can be made");
                let key = Ed25519KeyPair::from_pkcs8(key.as_ref());
                Key::Ed(key.expect("it was made just now"))
            }
            _ if algorithm.starts_with("HS") => {
                let mut secret = vec![0; 64];
                random.fill(&mut secret).expect("chance");
                Key::Secret(secret)
            }
            _ => rsa(),
        };
        Self {
            kid: kid.to_owned(),
            algorithm: algorithm.to_owned(),
            key,
        }
    }

    /// What it is checked with, as in a set: its public half, or a secret.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let mut key = match &self.key {
            Key::Secret(secret) => json!({"kty": "oct", "k": encoded(secret)}),
            Key::Rsa(key) => {
                let public: rsa::PublicKeyComponents<Vec<u8>> = key.public().into();
                json!({"kty": "RSA", "n": encoded(public.n), "e": encoded(public.e)})
            }
            Key::Ec(key) => {
                let point = &key.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": encoded(x), "y": encoded(y)})
            }
            Key::Ed(key) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": encoded(key.public_key())})
            }
        };
        key["kid"] = self.kid.as_str().into();
        key["alg"] = self.algorithm.as_str().into();
        key
    }

    /// A token that says this.
    ///
    /// # Panics
    /// It can't be signed.
    #[must_use]
    pub fn sign(&self, claims: &Value) -> String {
        let header = json!({"alg": self.algorithm, "typ": "JWT", "kid": self.kid});
        let message = [&header, claims].map(|part| encoded(part.to_string()));
        let message = message.join(".");
        let signature = self.signature(message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }

    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.key {
            Key::Secret(secret) => {
                let how = match &*self.algorithm {
                    "HS256" => hmac::HMAC_SHA256,
                    "HS384" => hmac::HMAC_SHA384,
                    _ => hmac::HMAC_SHA512,
                };
                let key = hmac::Key::new(how, secret);
                hmac::sign(&key, message).as_ref().to_vec()
            }
            Key::Rsa(key) => {
                let how: &dyn signature::RsaEncoding = match &*self.algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    _ => &signature::RSA_PSS_SHA512,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                let signed = key.sign(how, &random, message, &mut signature);
                signed.expect("a signature");
                signature
            }
            Key::Ec(key) => {
                let signature = key.sign(&random, message);
                signature.expect("a signature").as_ref().to_vec()
            }
            Key::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }
}

fn ec(how: &'static EcdsaSigningAlgorithm) -> Key {
    let random = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(how, &random).expect("a key can be made");
    let key = EcdsaKeyPair::from_pkcs8(how, key.as_ref(), &random);
    Key::Ec(key.expect("it was made just now"))
}

/// What signs here does not make these.
fn rsa() -> Key {
    let mut command = Command::new("openssl");
    command.args(["genpkey", "-algorithm", "RSA", "-outform", "DER"]);
    let made = command.output().expect("openssl can be run");
    assert!(made.status.success(), "{made:?}");
    // Some write the one, some the other.
    let key = rsa::KeyPair::from_der(&made.stdout);
    let key = key.or_else(|_| rsa::KeyPair::from_pkcs8(&made.stdout));
    Key::Rsa(key.expect("it was made just now"))
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A set of the keys of these.
#[must_use]
pub fn jwks(issuers: &[&Issuer]) -> String {
    let keys: Vec<Value> = issuers.iter().map(|issuer| issuer.jwk()).collect();
    json!({ "keys": keys }).to_string()
}
