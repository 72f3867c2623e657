//! Rates, as a bucket with tokens.

use mesh::Time;

use super::Reference;

/// What is missing in a bucket, in parts of a token that come in a nanosecond, and since
/// when that is so.
#[derive(Default)]
pub(super) struct Tokens {
    missing: u128,
    at: Time,
}

impl Reference {
    /// A request comes: seconds until it may, or it has a token.
    pub(super) fn too_soon(&mut self, id: u64) -> Option<u32> {
        let index = self.index(id).unwrap();
        let rate = self.apps[index].spec.settings.max_rate?;
        let second = rate.requests.div_ceil(rate.per.as_secs() as u32);
        let room = u128::from(rate.burst.unwrap_or(second));
        let token = rate.per.as_nanos() / u128::from(rate.requests);
        let tokens = &mut self.apps[index].tokens;
        let came = self.now.since(tokens.at).as_nanos();
        (tokens.missing, tokens.at) = (tokens.missing.saturating_sub(came), self.now);
        let lacks = (tokens.missing + token).saturating_sub(room * token);
        if lacks == 0 {
            tokens.missing += token;
            return None;
        }
        Some(lacks.div_ceil(1_000_000_000) as u32)
    }
}
