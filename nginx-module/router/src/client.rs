//! Which client a request is from, in the number that apps with a rate for each client are
//! told.

use std::net::IpAddr;

/// Whoever has one IPv6 address has all with its first 64 bits, so these are one client.
/// IPv4 addresses have numbers that are no such bits. Never 0.
pub fn number(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(four) => 0xffff << 32 | u64::from(four.to_bits()),
        IpAddr::V6(six) => ((six.to_bits() >> 64) as u64).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_has_one_number() {
        let number = |text: &str| number(text.parse().expect("an address"));
        assert_eq!(number("127.0.0.1"), 0xffff_7f00_0001);
        assert_eq!(number("::ffff:127.0.0.1"), number("127.0.0.1"));
        assert_ne!(number("127.0.0.2"), number("127.0.0.1"));
        assert_eq!(number("2001:db8:1:2:3::4"), 0x2001_0db8_0001_0002);
        assert_eq!(number("2001:db8:1:2::"), number("2001:db8:1:2:ffff::1"));
        assert_ne!(number("2001:db8:1:3::"), number("2001:db8:1:2::"));
        assert_eq!(number("::1"), 1);
    }
}
