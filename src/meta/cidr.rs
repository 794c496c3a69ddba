//! Ranges of IP addresses, as `10.244.0.0/16`: read, compared, written.
//!
//! The API's validation reads them from users; the network asks what is inside.
// Models k8s.io/utils/net (ParseCIDRSloppy) and net.IPNet.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range, with the address that it was written with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// Why a range that can be read is not written as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Slip {
    /// `010.0.0.0/8` or `10.0.0.0/08`.
    #[error("must not have leading 0s in IP or prefix length")]
    LeadingZeros,
    /// `::ffff:10.0.0.0/104`.
    #[error("must not have an IPv4-mapped IPv6 address")]
    Mapped,
    /// `10.1.2.3/8`.
    #[error("must not have bits set beyond the prefix length")]
    HostBits,
}

impl Cidr {
    /// Reads a range; zeros may lead its numbers, and the address may be any of the range.
    pub fn parse_sloppy(text: &str) -> Option<Self> {
        let (address, bits) = text.split_once('/')?;
        if bits.is_empty() || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (address, bits) = (parse_ip_sloppy(address)?, bits.parse().ok()?);
        (bits <= width(address)).then_some(Self { address, bits })
    }

    /// The range that is one address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, bits: width(address) }
    }

    /// What is wrong with the way in which `text`, which was read as this range, is written.
    pub fn slip(&self, text: &str) -> Option<Slip> {
        let (address, bits) = text.split_once('/').unwrap_or_default();
        if address.parse::<IpAddr>().is_err() || (bits.len() > 1 && bits.starts_with('0')) {
            return Some(Slip::LeadingZeros);
        }
        match self.address {
            IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some() => Some(Slip::Mapped),
            address => (address != self.network()).then_some(Slip::HostBits),
        }
    }

    /// The address as it was written.
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// The first address of the range.
    pub fn network(&self) -> IpAddr {
        masked(self.address, self.bits)
    }

    /// How many bits all of the range have in common.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether an address is in the range.
    pub fn contains(&self, ip: IpAddr) -> bool {
        width(ip) == width(self.address) && masked(ip, self.bits) == self.network()
    }

    /// Whether the range is in `outer` and smaller.
    pub fn is_strictly_within(&self, outer: &Self) -> bool {
        outer.contains(self.network()) && outer.bits < self.bits
    }
}

impl fmt::Display for Cidr {
    /// The range by its first address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network(), self.bits)
    }
}

/// Reads an address; zeros may lead the numbers of IPv4.
pub fn parse_ip_sloppy(text: &str) -> Option<IpAddr> {
    if let Ok(ip) = text.parse() {
        return Some(ip);
    }
    let parts: Vec<&str> = text.split('.').collect();
    let numeric = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() != 4 || !parts.iter().all(numeric) {
        return None;
    }
    let octets: Option<Vec<u8>> = parts.iter().map(|part| part.parse().ok()).collect();
    let octets: [u8; 4] = octets?.try_into().ok()?;
    Some(IpAddr::from(octets))
}

fn width(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn masked(ip: IpAddr, bits: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
            Ipv4Addr::from(u32::from(ip) & mask).into()
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
            Ipv6Addr::from(u128::from(ip) & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_hold_what_begins_as_they_do() {
        for (range, inside, outside) in [
            ("10.244.0.0/16", "10.244.255.1", "10.245.0.0"),
            ("10.1.2.3/8", "10.9.9.9", "11.0.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "1.2.3.4", "::1"),
            ("fd00::/8", "fdab::1", "fe80::1"),
            ("::/0", "::1", "1.2.3.4"),
        ] {
            let range = Cidr::parse_sloppy(range).unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(!range.contains(outside.parse().unwrap()), "{range} {outside}");
        }
        let of = |text| Cidr::parse_sloppy(text).unwrap();
        assert!(of("10.1.0.0/16").is_strictly_within(&of("10.0.0.0/8")));
        assert!(!of("10.0.0.0/8").is_strictly_within(&of("10.0.0.0/8")));
        assert_eq!(of("10.1.2.3/8").to_string(), "10.0.0.0/8");
    }

    #[test]
    fn what_is_not_written_as_it_should_be_is_told() {
        for (text, expected) in [
            ("10.0.0.0/8", Some(None)),
            ("fd00::/8", Some(None)),
            ("010.0.0.0/8", Some(Some(Slip::LeadingZeros))),
            ("10.0.0.0/08", Some(Some(Slip::LeadingZeros))),
            ("::ffff:10.0.0.0/104", Some(Some(Slip::Mapped))),
            ("10.0.0.1/8", Some(Some(Slip::HostBits))),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("10.0.0.0/+8", None),
            ("10.0.0/8", None),
            ("x/8", None),
        ] {
            assert_eq!(Cidr::parse_sloppy(text).map(|range| range.slip(text)), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_not(text in "[0-9a-f.:/+-]{0,20}") {
            if let Some(range) = Cidr::parse_sloppy(&text) {
                prop_assert!(range.contains(range.address()));
                prop_assert_eq!(Cidr::parse_sloppy(&range.to_string()).map(|again| again.to_string()), Some(range.to_string()));
            }
        }
    }
}
