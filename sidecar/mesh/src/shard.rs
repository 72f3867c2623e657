//! Parts of the apps: each is decided for by one sidecar.

/// How many shards there are, whatever the number of sidecars.
pub const SHARDS: usize = 256;

/// Some of the apps: those that one sidecar decides for together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(u8);

impl Shard {
    /// The shard of an app, the same on every host and in every version.
    pub fn of(app: &str) -> Self {
        Self((mix(hash(app)) % SHARDS as u64) as u8)
    }

    /// The one of this number.
    pub fn numbered(number: u8) -> Self {
        Self(number)
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }

    /// Its number, below [`SHARDS`].
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// How much it is drawn to a node: it belongs to the one with the greatest weight,
    /// so who comes or goes takes or leaves its own share and moves nothing between
    /// the others. (Rendezvous hashing: Thaler and Ravishankar, 1998.)
    pub fn weight(self, node: &str) -> u64 {
        mix(hash(node) ^ mix(u64::from(self.0) + 1))
    }
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn hash(text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    text.bytes().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Spreads what differs in few bits: the end of splitmix64, by Steele, Lea and Flood,
/// "Fast splittable pseudorandom number generators", 2014.
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_are_where_they_have_always_been() {
        // Sidecars of several versions work together: these never change.
        assert_eq!(Shard::of("").index(), 155);
        assert_eq!(Shard::of("app-1").index(), 69);
    }
}
