//! Credentials for tests.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _,
    },
};
use serde_json::{Value, json};

/// The password of both hashes, as argon2 and bcrypt have it at little cost.
pub(crate) const PASSWORD: &str = "secret";
pub(crate) const ARGON: &str = "$argon2id$v=19$m=1024,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$OHc9SRN0/XEiuUUihEOCXBYjZ7cbpwHqG3uM3/Rhr/w";
pub(crate) const BCRYPT: &str = "$2b$04$zfWSRFB9AYeTB0qC9VCFH.jYKS.Yx4AtRUtfRLvanISsoUfwHMtU6";

/// A key whose other half is gone, and what was signed with that.
pub(crate) const RSA: &str = r#"{"kty":"RSA","kid":"rsa","n":"ovxB1tRmTHVq2nGu1EFGJQxFSs5-0zjThdCq6xVzhPHHA5GZRh5YK30lWfFgO0ZyOlrgPcF4BcxmCSFH5AJNjGz1WSYq5XYWVnQ6L3EpNHeTGY76YRfcVXkoVqTgNwa_jjDUvr6_QhB3l0Cqw8l42c6wMVc-frxuuq9C_cw6e7uQ9ASFo7cTJ7qijjU3Eb8jWHHmGZtf2I3VGmbM3rLBCj6HHONIgmKRG138bl4sqyZNt17oQsfk4ZwGRplEvx6NtP0sw-3hj2bayNgGJYxDEFuylrBnpha7kya8W506JQZP4LNnvnx_H4Yn9kpp7KJG5RGBB22ci4iyGMb-iFs2ew","e":"AQAB"}"#;
pub(crate) const RSA_TOKENS: [(&str, &str); 3] = [
    (
        "RS256",
        "eyJhbGciOiAiUlMyNTYiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6ICJzaG9wIiwgInN1YiI6ICJhbm4iLCAiZXhwIjogNDEwMjQ0NDgwMH0.TBijoTl9PrJ2ds_wQMVbDzRU8eFzQQ93MNA9bytqJoPGQiUiGJK0m56kSXnIOIwBzHTacu_fXgPHkZxfwfQU0tHwbo_GrA7BszADmv-X4J2AlT7rKu2IY7LZPJeK3Mfz1aFU-HYHeVLMMsXFkE684p3e3usdJZZa0uJ5Eca5GKogfQNwHJbw5FR_Li7r-TTpXPD_7BluCjE97ZR8L_sSF5FW6T4xXCj31WJAX1-nQjCto2vPyfELXhP2Ph7VWaVj6_rROcrZq5ScEmQ8LmN2YlBdg5IlhCF6n-5BrWFzIWQAuHw8bxD7SjIqFd3YQILvuIzE_V5QeUmQoEHHLYdggA",
    ),
    (
        "PS256",
        "eyJhbGciOiAiUFMyNTYiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6ICJzaG9wIiwgInN1YiI6ICJhbm4iLCAiZXhwIjogNDEwMjQ0NDgwMH0.keme85DneDppVHjBb3ThaNMQP48EWk6786spU_VcPKMHP1JKCnfaVkicEpFYbXyaow-SUscsVxa5b7sdaTOhglkp3Yfnsm56Ls1R90Tk9GVa_g1IQQZo-6y18TBqG5BOLDYpNPBFxofoHqdQi2W_OxTpZ_2dEAzp34YVl0p_OoWiXc0id_0n4ByNGsH1cVsIyWrYP2HWIYKNaQmXkGtNPvS_8egMkzRxfrWlWtOkHktQsLpq4BONl8tLFIH088tytzWFtr6S0zrP5v-ZJlJGHW0ggIzPK0MuiPatNkYKVOocKBfbAQQD2Iez6XDDPB2bF0NwnG492mlII57x-j0LLA",
    ),
    (
        "RS512",
        "eyJhbGciOiAiUlM1MTIiLCAia2lkIjogInJzYSJ9.eyJpc3MiOiAiaHR0cHM6Ly9pZC5leGFtcGxlIiwgImF1ZCI6ICJzaG9wIiwgInN1YiI6ICJhbm4iLCAiZXhwIjogNDEwMjQ0NDgwMH0.iLgHVY3Ect_BHAv1kptqzYlIPLEpyIJNmsJaGHgPRgloNZpZn5AKFW050s4CCepae--NwmCjgBG1ja9FjnKnB_KRtEUdQyipTFVX7cGniYEFJ5qXTAiEdFRTwJfOvg5RE4sHHafwfv8qIM483TRmBZYmehiIkfOIe--3zCCu7qspECM2qT0rYe9vlacNvajODQRMz9OoUP_9YXtDZdSp4aut7P7anQaQDGdYljBl7ieUVsZo431y1mmuoT869DziPl3vaCthn2csQqkWVBhhBvtvQd0qs2ynzNi6OIeaococ6sI1UhiJl_0yOz8U4li24FrSmYLtbE5sqjYZu8pkBQ",
    ),
];
/// A modulus of 1024 bits.
pub(crate) const SMALL: &str = "0BkPemlGrpX_07tE0OIlCCEkr8zzPuYm6H1pUmhD0ug4jOrVLSSTFjekMv9vY1U6YxQZVL3GLXgOLp_rUAMqoS7H0bg960yR8vdo3dBwQ6n8eAXCWXxsFMOQGPt7ocycS_qN_ObvKjuhEjhcEzOb-h8FccehVTdiwh8LgAl8jZM";

pub(crate) fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Somebody who signs tokens.
pub(crate) enum Signer {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Secret(Vec<u8>),
}

impl Signer {
    pub(crate) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING)
    }

    pub(crate) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING)
    }

    fn ec(how: &'static EcdsaSigningAlgorithm) -> Self {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(how, &random).expect("a key");
        let key = EcdsaKeyPair::from_pkcs8(how, key.as_ref(), &random);
        Self::Ec(key.expect("the key"))
    }

    pub(crate) fn ed() -> Self {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).expect("a key");
        Self::Ed(Ed25519KeyPair::from_pkcs8(key.as_ref()).expect("the key"))
    }

    /// As it is in a set.
    pub(crate) fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..]
                    .split_at((key.public_key().as_ref().len() - 1) / 2);
                let crv = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "kid": id, "crv": crv, "x": encoded(x), "y": encoded(y)})
            }
            Self::Ed(key) => {
                let x = encoded(key.public_key());
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": x})
            }
            Self::Secret(secret) => json!({"kty": "oct", "kid": id, "k": encoded(secret)}),
        }
    }

    /// Signs by what the key is, whatever the header says.
    pub(crate) fn sign(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let signature = match self {
            Self::Ec(key) => {
                let signed = key.sign(&SystemRandom::new(), message.as_bytes());
                signed.expect("a signature").as_ref().to_vec()
            }
            Self::Ed(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
            Self::Secret(secret) => {
                let how = match header["alg"].as_str() {
                    Some("HS384") => hmac::HMAC_SHA384,
                    Some("HS512") => hmac::HMAC_SHA512,
                    _ => hmac::HMAC_SHA256,
                };
                let key = hmac::Key::new(how, secret);
                hmac::sign(&key, message.as_bytes()).as_ref().to_vec()
            }
        };
        format!("{message}.{}", encoded(signature))
    }
}
