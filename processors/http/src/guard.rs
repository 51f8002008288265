//! Keeps requests away from addresses that are not public.

use std::error::Error;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Resolves names for the HTTP client, and gives it no address of `host` that is not
/// public. The client connects to nothing else, so a name that changes between the check
/// and the connection gains nothing.
pub(crate) struct Guard {
    /// Where requests go. Other names are those of proxies, which are private as a
    /// rule and chosen by whoever runs veracity.
    pub host: String,
    /// Whether every address is permitted.
    pub allow_private: bool,
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let free = self.allow_private || !same_name(&host, &self.host);
        Box::pin(async move {
            let addresses: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let addresses = if free {
                addresses
            } else {
                permitted(&host, addresses)?
            };
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

fn same_name(one: &str, other: &str) -> bool {
    let bare = |name: &str| name.trim_end_matches('.').to_ascii_lowercase();
    bare(one) == bare(other)
}

/// Those of `addresses` that are public; an error if none is.
pub(crate) fn permitted(
    host: &str,
    addresses: Vec<SocketAddr>,
) -> Result<Vec<SocketAddr>, Refused> {
    let mut refused = None;
    let mut public = Vec::new();
    for address in addresses {
        match refusal(address.ip()) {
            None => public.push(address),
            Some(kind) => refused = Some((address.ip(), kind)),
        }
    }
    match refused {
        Some((address, kind)) if public.is_empty() => Err(Refused {
            host: host.to_owned(),
            address,
            kind,
        }),
        _ => Ok(public),
    }
}

/// Refuses a URL that needs no resolving to be seen as private.
pub(crate) fn check_literal(url: &Url) -> Result<(), Refused> {
    let address = match url.host() {
        Some(Host::Ipv4(address)) => IpAddr::V4(address),
        Some(Host::Ipv6(address)) => IpAddr::V6(address),
        Some(Host::Domain(name)) if is_localhost(name) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        _ => return Ok(()),
    };
    match refusal(address) {
        None => Ok(()),
        Some(kind) => Err(Refused {
            host: url.host_str().unwrap_or_default().to_owned(),
            address,
            kind,
        }),
    }
}

/// RFC 6761 reserves these names for loopback.
fn is_localhost(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    name == "localhost" || name.ends_with(".localhost")
}

/// An address that nothing is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    host: String,
    address: IpAddr,
    kind: &'static str,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            host,
            address,
            kind,
        } = self;
        write!(
            f,
            "`{host}` is {address}, {kind}; `allow_private: true` permits it"
        )
    }
}

impl Error for Refused {}

/// What kind of address it is, if it is not a public one.
pub(crate) fn refusal(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refusal_v4(address),
        IpAddr::V6(address) => refusal_v6(address),
    }
}

/// The registry of special-purpose addresses, RFC 6890 and its successors.
fn refusal_v4(address: Ipv4Addr) -> Option<&'static str> {
    let kind = match address.octets() {
        [0, ..] => "an unspecified address",
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => "a private address",
        [100, 64..=127, ..] => "an address shared by a carrier",
        [127, ..] => "a loopback address",
        [169, 254, ..] => "a link-local address",
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => "an address for documentation",
        [192, 0, 0, _] | [192, 88, 99, _] | [198, 18..=19, ..] => "a reserved address",
        [224..=239, ..] => "a multicast address",
        [240..=255, ..] => "a reserved address",
        _ => return None,
    };
    Some(kind)
}

/// Only 2000::/3 is given out as global unicast; within it, and in the translation prefix
/// of RFC 6052, an address may stand for an IPv4 one.
fn refusal_v6(address: Ipv6Addr) -> Option<&'static str> {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        refusal_v4(Ipv4Addr::new(a, b, c, d))
    };
    let kind = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => "an unspecified address",
        [0, 0, 0, 0, 0, 0, 0, 1] => "a loopback address",
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => return embedded(high, low),
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => return embedded(high, low),
        [0x2002, high, low, ..] => return embedded(high, low),
        [0x2001, 0..=0x1ff, ..] => "a reserved address",
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => "an address for documentation",
        [0x2000..=0x3fff, ..] => return None,
        [0xfc00..=0xfdff, ..] => "a unique local address",
        [0xfe80..=0xfebf, ..] => "a link-local address",
        [0xfec0..=0xfeff, ..] => "a site-local address",
        [0xff00..=0xffff, ..] => "a multicast address",
        _ => "a reserved address",
    };
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_permitted() {
        let cases: &[(&str, &str)] = &[
            ("1.1.1.1", "public"),
            ("93.184.215.14", "public"),
            ("172.15.255.255", "public"),
            ("172.32.0.0", "public"),
            ("100.63.255.255", "public"),
            ("100.128.0.0", "public"),
            ("223.255.255.255", "public"),
            ("2606:4700:4700::1111", "public"),
            ("2a00:1450:4001:81b::200e", "public"),
            ("::ffff:1.1.1.1", "public"),
            ("64:ff9b::101:101", "public"),
            ("2002:101:101::1", "public"),
            ("0.0.0.0", "an unspecified address"),
            ("0.1.2.3", "an unspecified address"),
            ("127.0.0.1", "a loopback address"),
            ("127.255.255.254", "a loopback address"),
            ("10.0.0.1", "a private address"),
            ("172.16.0.1", "a private address"),
            ("172.31.255.255", "a private address"),
            ("192.168.1.1", "a private address"),
            ("100.64.0.1", "an address shared by a carrier"),
            ("100.127.255.255", "an address shared by a carrier"),
            ("169.254.169.254", "a link-local address"),
            ("192.0.0.8", "a reserved address"),
            ("192.0.2.1", "an address for documentation"),
            ("198.18.0.1", "a reserved address"),
            ("224.0.0.1", "a multicast address"),
            ("240.0.0.1", "a reserved address"),
            ("255.255.255.255", "a reserved address"),
            ("::", "an unspecified address"),
            ("::1", "a loopback address"),
            ("::ffff:127.0.0.1", "a loopback address"),
            ("::ffff:169.254.169.254", "a link-local address"),
            ("::10.0.0.1", "a private address"),
            ("64:ff9b::a00:1", "a private address"),
            ("64:ff9b:1::a00:1", "a reserved address"),
            ("2002:7f00:1::", "a loopback address"),
            ("2001::1", "a reserved address"),
            ("2001:db8::1", "an address for documentation"),
            ("fc00::1", "a unique local address"),
            ("fd12:3456:789a::1", "a unique local address"),
            ("fe80::1", "a link-local address"),
            ("fec0::1", "a site-local address"),
            ("ff02::1", "a multicast address"),
            ("100::1", "a reserved address"),
            ("4000::1", "a reserved address"),
        ];
        for (address, expected) in cases {
            let found = refusal(address.parse().unwrap()).unwrap_or("public");
            assert_eq!(found, *expected, "{address}");
        }
    }

    #[test]
    fn of_a_name_with_public_and_private_addresses_the_public_ones_are_used() {
        let at = |texts: &[&str]| -> Vec<SocketAddr> {
            let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
            texts.iter().map(address).collect()
        };
        let check = |texts: &[&str]| permitted("hooks.example.org", at(texts));
        assert_eq!(check(&["10.0.0.1", "1.1.1.1", "::1"]), Ok(at(&["1.1.1.1"])));
        assert_eq!(check(&[]), Ok(Vec::new()));
        assert_eq!(
            check(&["169.254.169.254"]).unwrap_err().to_string(),
            "`hooks.example.org` is 169.254.169.254, a link-local address; \
             `allow_private: true` permits it"
        );
    }

    #[test]
    fn a_private_address_in_a_url_is_seen_however_it_is_written() {
        let private = [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://user@[::1]:80/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest/meta-data",
            "http://１２７.0.0.1/",
            "http://localhost:8080/",
            "http://LOCALHOST./",
            "http://hooks.localhost/",
        ];
        for url in private {
            let parsed = Url::parse(url).unwrap();
            assert!(check_literal(&parsed).is_err(), "{url}");
        }
        for url in [
            "https://1.1.1.1/",
            "https://localhost.example.org/",
            "https://[2606:4700::1]/",
        ] {
            let parsed = Url::parse(url).unwrap();
            assert_eq!(check_literal(&parsed), Ok(()), "{url}");
        }
    }

    /// A name may be public when it is checked and private when it is connected to. Both
    /// are one step here: what the resolver gives out is what the client connects to.
    #[tokio::test]
    async fn the_resolver_itself_gives_out_no_private_address() {
        let resolve = async |host: &str, allow_private| {
            let guard = Guard {
                host: host.to_owned(),
                allow_private,
            };
            guard.resolve("localhost".parse().unwrap()).await
        };
        let error = resolve("LOCALHOST.", false).await.err().unwrap();
        assert!(error.is::<Refused>(), "{error}");
        let permitted = resolve("localhost", true).await.ok().unwrap();
        assert!(permitted.count() > 0, "permitted by the settings");
        let proxy = resolve("hooks.example.org", false).await.ok().unwrap();
        assert!(proxy.count() > 0, "the name of a proxy");
    }
}
