//! Networks that a client may be in.

use std::net::IpAddr;

use crate::{
    parse::list,
    problem::{Problem, shown},
    words::Words,
};

/// Some of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

impl Networks {
    /// From the words up to an `and`, a `then` or the end.
    ///
    /// # Errors
    /// What is none, and where; or there are more than [`MAX_LIST`](crate::MAX_LIST).
    pub fn parse(words: &mut Words) -> Result<Self, Problem> {
        list(words, "an address or a network", Network::parse).map(Self)
    }

    /// With these as well.
    pub fn add(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether a client is in one of them. One without an address is in none.
    pub fn have(&self, client: Option<IpAddr>) -> bool {
        let is_in = |client| self.0.iter().any(|network| network.has(client));
        client.is_some_and(is_in)
    }
}

/// An address, and how many of its bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: u128,
    mask: u128,
    four: bool,
}

impl Network {
    /// `10.0.0.0/8`, `2001:db8::/32`, or one address.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "{} is neither an address nor a network like 10.0.0.0/8 or 2001:db8::/32",
                shown(text)
            )
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let mut address: IpAddr = address.parse().map_err(|_| wrong())?;
        let mut width = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => width,
            Some(bits) if bits.len() <= 3 && bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse::<u32>().map_err(|_| wrong())?
            }
            Some(_) => return Err(wrong()),
        };
        if bits > width {
            return Err(wrong());
        }
        // As clients are.
        let mut counted = bits;
        if let (IpAddr::V6(six), 96..) = (address, bits)
            && let Some(four) = six.to_ipv4_mapped()
        {
            (address, counted, width) = (four.into(), bits - 96, 32);
        }
        let all = u128::MAX >> (128 - width);
        let mask = match counted {
            0 => 0,
            counted => all & (all << (width - counted)),
        };
        let (number, four) = number(address);
        if number & !mask != 0 {
            return Err(format!(
                "{} has bits behind its first {bits} that are not 0",
                shown(text)
            ));
        }
        Ok(Self {
            address: number,
            mask,
            four,
        })
    }

    fn has(&self, client: IpAddr) -> bool {
        let (number, four) = number(client.to_canonical());
        four == self.four && number & self.mask == self.address
    }
}

fn number(address: IpAddr) -> (u128, bool) {
    match address {
        IpAddr::V4(v4) => (u32::from(v4).into(), true),
        IpAddr::V6(v6) => (u128::from(v6), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in() {
        for (network, client, wanted) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3", "10.1.2.4", false),
            ("0.0.0.0/0", "1.2.3.4", true),
            ("0.0.0.0/0", "::1", false),
            ("::/0", "::1", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("10.0.0.0/8", "::ffff:10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "10.0.0.1", true),
            ("::ffff:10.0.0.0/104", "11.0.0.1", false),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
        ] {
            let network = Network::parse(network).expect("a network");
            assert_eq!(network.has(client.parse().expect("a client")), wanted);
        }
    }

    #[test]
    fn what_is_no_network() {
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.1/8",
            "::/129",
            "10.0.0.0/+8",
        ] {
            assert!(Network::parse(text).is_err(), "{text}");
        }
    }
}
