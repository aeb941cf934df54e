//! Where webhooks do not go: to addresses that are not the world's. Whoever may define an endpoint could otherwise make herald
//! call what only herald can reach: the machine itself, its network, a cloud's metadata.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

/// How far webhooks go: the operator's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To public addresses, by TLS.
    World,
    /// Wherever an endpoint is.
    Anywhere,
}

/// Why a place is not posted to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    /// The address is not the world's.
    #[error("{0} is {1}; webhooks go to public addresses only, unless the operator sets webhooks.allow_private")]
    Address(IpAddr, &'static str),
    /// It could be read on the way.
    #[error(
        "the URL begins with http://; webhooks go to https:// only, unless the operator sets webhooks.allow_private"
    )]
    Plain,
    /// It is no web address.
    #[error("the URL is not a web address")]
    NotWeb,
}

impl Reach {
    /// The URL of an endpoint, if it may be posted to as far as can be told by looking at it. Where its name leads to is
    /// judged when it is connected to: only then is it known.
    pub fn url(self, text: &str) -> Result<Url, Refused> {
        let url = Url::parse(text).map_err(|_| Refused::NotWeb)?;
        let host = url.host().ok_or(Refused::NotWeb)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Refused::NotWeb);
        }
        match host {
            Host::Ipv4(address) => self.address(address.into())?,
            Host::Ipv6(address) => self.address(address.into())?,
            Host::Domain(_) => {}
        }
        if self == Self::World && url.scheme() != "https" {
            return Err(Refused::Plain);
        }
        Ok(url)
    }

    /// Whether an address may be connected to.
    pub fn address(self, address: IpAddr) -> Result<(), Refused> {
        match (self, not_public(address)) {
            (Self::World, Some(what)) => Err(Refused::Address(address, what)),
            (Self::World, None) | (Self::Anywhere, _) => Ok(()),
        }
    }
}

const LOOPBACK: &str = "a loopback address";
const PRIVATE: &str = "a private address";
const LINK_LOCAL: &str = "a link-local address";
const SHARED: &str = "an address behind a carrier's NAT";
const CLOUD: &str = "a cloud's own service";
const MULTICAST: &str = "a multicast address";
const RESERVED: &str = "a reserved address";

/// IPv4 networks that are not the world's: address, length of the prefix, what they are (the IANA registry of special
/// purposes; Azure's is the one that lies among public ones).
const V4: &[(Ipv4Addr, u32, &str)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8, RESERVED),
    (Ipv4Addr::new(10, 0, 0, 0), 8, PRIVATE),
    (Ipv4Addr::new(100, 64, 0, 0), 10, SHARED),
    (Ipv4Addr::new(127, 0, 0, 0), 8, LOOPBACK),
    (Ipv4Addr::new(168, 63, 129, 16), 32, CLOUD),
    (Ipv4Addr::new(169, 254, 0, 0), 16, LINK_LOCAL),
    (Ipv4Addr::new(172, 16, 0, 0), 12, PRIVATE),
    (Ipv4Addr::new(192, 0, 0, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 0, 2, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 88, 99, 0), 24, RESERVED),
    (Ipv4Addr::new(192, 168, 0, 0), 16, PRIVATE),
    (Ipv4Addr::new(198, 18, 0, 0), 15, RESERVED),
    (Ipv4Addr::new(198, 51, 100, 0), 24, RESERVED),
    (Ipv4Addr::new(203, 0, 113, 0), 24, RESERVED),
    (Ipv4Addr::new(224, 0, 0, 0), 4, MULTICAST),
    (Ipv4Addr::new(240, 0, 0, 0), 4, RESERVED),
];

/// IPv6: within 2000::/3 what is not the world's, and outside it what has a name; the rest is reserved.
const V6: &[(Ipv6Addr, u32, &str)] = &[
    (Ipv6Addr::LOCALHOST, 128, LOOPBACK),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23, RESERVED),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32, RESERVED),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20, RESERVED),
    (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7, PRIVATE),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10, LINK_LOCAL),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10, PRIVATE),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8, MULTICAST),
];

/// What an address is, if it is not the world's.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => {
            let within = |(network, length, _): &&(Ipv4Addr, u32, _)| {
                (address.to_bits() ^ network.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0
            };
            V4.iter().find(within).map(|(.., what)| *what)
        }
        IpAddr::V6(address) => {
            if let Some(inner) = carried(address) {
                return not_public(inner.into());
            }
            let within = |(network, length, _): &&(Ipv6Addr, u32, _)| {
                (address.to_bits() ^ network.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
            };
            let named = V6.iter().find(within).map(|(.., what)| *what);
            let in_the_world = address.segments()[0] & 0xe000 == 0x2000;
            named.or((!in_the_world).then_some(RESERVED))
        }
    }
}

/// The IPv4 address that an IPv6 one leads to: mapped, by NAT64, by 6to4.
fn carried(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| Ipv4Addr::from_bits((u32::from(high) << 16) | u32::from(low));
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_worlds_addresses_are_posted_to() {
        let public = [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "52.95.110.1",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "168.63.129.15",
            "169.253.255.255",
            "169.255.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2001:200::1",
            "2606:4700::1111",
            "2a00:1450:4001:81c::200e",
            "3ffe::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ];
        for address in public {
            assert_eq!(not_public(address.parse().unwrap()), None, "{address}");
        }
        let others = [
            ("0.0.0.0", RESERVED),
            ("0.255.255.255", RESERVED),
            ("10.0.0.0", PRIVATE),
            ("10.255.255.255", PRIVATE),
            ("100.64.0.0", SHARED),
            ("100.100.100.200", SHARED), // a metadata service
            ("100.127.255.255", SHARED),
            ("127.0.0.1", LOOPBACK),
            ("127.255.255.255", LOOPBACK),
            ("168.63.129.16", CLOUD),
            ("169.254.0.0", LINK_LOCAL),
            ("169.254.169.254", LINK_LOCAL), // a metadata service
            ("169.254.170.2", LINK_LOCAL),
            ("172.16.0.0", PRIVATE),
            ("172.31.255.255", PRIVATE),
            ("192.0.0.192", RESERVED), // a metadata service
            ("192.0.2.1", RESERVED),
            ("192.88.99.1", RESERVED),
            ("192.168.0.0", PRIVATE),
            ("192.168.255.255", PRIVATE),
            ("198.18.0.0", RESERVED),
            ("198.19.255.255", RESERVED),
            ("198.51.100.7", RESERVED),
            ("203.0.113.7", RESERVED),
            ("224.0.0.1", MULTICAST),
            ("239.255.255.255", MULTICAST),
            ("240.0.0.1", RESERVED),
            ("255.255.255.255", RESERVED),
            ("::", RESERVED),
            ("::1", LOOPBACK),
            ("::2", RESERVED),
            ("::127.0.0.1", RESERVED),
            ("::ffff:127.0.0.1", LOOPBACK),
            ("::ffff:10.1.2.3", PRIVATE),
            ("::ffff:169.254.169.254", LINK_LOCAL),
            ("::ffff:0:127.0.0.1", RESERVED),
            ("64:ff9b::127.0.0.1", LOOPBACK),
            ("64:ff9b::169.254.169.254", LINK_LOCAL),
            ("64:ff9b:1::808:808", RESERVED),
            ("100::1", RESERVED),
            ("2001::1", RESERVED),
            ("2001:0:7f00:1::", RESERVED),
            ("2001:1ff::1", RESERVED),
            ("2001:db8::1", RESERVED),
            ("2002:7f00:1::1", LOOPBACK),
            ("2002:a01:203::1", PRIVATE),
            ("3fff::1", RESERVED),
            ("5f00::1", RESERVED),
            ("fc00::1", PRIVATE),
            ("fd00:ec2::254", PRIVATE), // a metadata service
            ("fdff:ffff::1", PRIVATE),
            ("fe80::1", LINK_LOCAL),
            ("febf::1", LINK_LOCAL),
            ("fec0::1", PRIVATE),
            ("ff02::1", MULTICAST),
        ];
        for (address, what) in others {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(not_public(address), Some(what), "{address}");
            assert_eq!(Reach::World.address(address), Err(Refused::Address(address, what)));
            assert_eq!(Reach::Anywhere.address(address), Ok(()));
        }
    }

    #[test]
    fn a_url_is_judged_by_what_it_says() {
        for good in
            ["https://example.com/hooks", "https://8.8.8.8/", "https://[2606:4700::1111]:8443/", "https://localhost/"]
        {
            assert!(Reach::World.url(good).is_ok(), "{good}");
        }
        // Every way of writing an address is the address.
        for written in [
            "https://127.0.0.1/",
            "https://127.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://017700000001/",
            "https://127.0.0.1./",
            "https://１２７.0.0.1/",
            "https://user@127.0.0.1:8443/",
            "https://[::1]/",
            "https://[::ffff:7f00:1]/",
            "http://127.0.0.1/",
        ] {
            let refused = Reach::World.url(written).unwrap_err().to_string();
            assert!(refused.contains(LOOPBACK), "{written}: {refused}");
            assert!(Reach::Anywhere.url(written).is_ok(), "{written}");
        }
        assert_eq!(Reach::World.url("http://example.com/"), Err(Refused::Plain));
        for none in ["", "example.com", "ftp://example.com/", "file:///etc/passwd", "https://", "https://256.1.1.1/"] {
            assert_eq!(Reach::Anywhere.url(none), Err(Refused::NotWeb), "{none}");
        }
        let refused = Reach::World.url("https://10.0.0.1/?token=hunter2").unwrap_err().to_string();
        assert!(refused.contains("10.0.0.1 is a private address") && !refused.contains("hunter2"), "{refused}");
    }
}
