//! Where webhooks may go.
//!
//! Whoever may name a URL makes this service send requests to it, from inside of the network that it runs
//! in. So by default a URL must be https and its host must have a public address. A name is resolved anew
//! for each attempt, and the connection goes to the very addresses that were looked at ([`PublicResolver`]),
//! so that a name that changes its meaning in between gains nothing. An address in place of a name never
//! reaches a resolver; it is looked at when the URL is stored and before each attempt.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};

use crate::error::{Error, Result};

const LONGEST_URL: usize = 2_000;

/// Which URLs webhooks may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Reach {
    /// https, and public addresses only.
    #[default]
    Public,
    /// http as well, and every address, for receivers in one's own network.
    Everything,
}

/// Checks the URL of a webhook.
pub fn check_url(text: &str, reach: Reach) -> Result<Url> {
    let refused = |reason: &str| Error::invalid("target", reason);
    let url = Url::parse(text).map_err(|_| refused("must be a URL such as https://hooks.example/alerts"))?;
    if text.len() > LONGEST_URL {
        return Err(refused("must have at most 2000 characters"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("must not hold a user name or a password; the signature shows who sends"));
    }
    let Some(host) = url.host_str() else { return Err(refused("must name a host")) };
    match (url.scheme(), reach) {
        ("https", _) | ("http", Reach::Everything) => {}
        _ => return Err(refused("must begin with https://")),
    }
    // An IPv6 address stands in brackets.
    let literal = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok();
    if reach == Reach::Public {
        if literal.is_some_and(|address| !is_public(address)) {
            return Err(refused("must not be an address of a private network"));
        }
        // Such names are never public; the resolver would refuse them later, and here somebody reads it.
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        if name == "localhost" || name.ends_with(".localhost") {
            return Err(refused("must not be this machine"));
        }
    }
    Ok(url)
}

/// Whether an address is one of the public internet.
/// <https://www.iana.org/assignments/iana-ipv4-special-registry>,
/// <https://www.iana.org/assignments/iana-ipv6-special-registry>
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_special = a == 0
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        // Multicast, reserved and broadcast.
        || a >= 224;
    !is_special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    if let Some(mapped) = address.to_ipv4_mapped() {
        return is_public_v4(mapped);
    }
    let [a, b, ..] = address.segments();
    // Of 2000::/3, without what IETF protocols use (Teredo among it), documentation, and 6to4, which can
    // stand for any IPv4 address.
    let is_global = a & 0xe000 == 0x2000;
    let is_special = (a == 0x2001 && (b < 0x200 || b == 0xdb8)) || a == 0x2002 || (a == 0x3fff && b < 0x1000);
    is_global && !is_special
}

/// Resolves names to public addresses only.
pub(crate) struct PublicResolver;

impl Resolve for PublicResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let public: Vec<SocketAddr> = found.filter(|address| is_public(address.ip())).collect();
            if public.is_empty() {
                return Err("the name has no public address".into());
            }
            Ok::<Addrs, _>(Box::new(public.into_iter()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in
            ["8.8.8.8", "100.63.0.1", "172.15.0.1", "198.20.0.1", "2606:4700::1111", "::ffff:8.8.8.8"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::7f00:1",
            "64:ff9b::7f00:1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2002:7f00:1::",
            "3fff::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
    }

    #[test]
    fn urls_are_checked_when_they_are_stored() {
        for fine in ["https://hooks.example/a?b=c", "https://8.8.8.8:8443/", "https://[2606:4700::1111]/"] {
            assert!(check_url(fine, Reach::Public).is_ok(), "{fine}");
        }
        for wrong in [
            "",
            "hooks.example",
            "http://hooks.example/",
            "ftp://hooks.example/",
            "https://",
            "https://u@h.example/",
            "https://u:p@h.example/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://a.localhost/",
            "https://127.0.0.1/",
            "https://0x7f000001/",
            "https://2130706433/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://10.0.0.1/",
            "https://[::1]/",
            "https://[::ffff:127.0.0.1]/",
            "https://169.254.169.254/latest/meta-data",
        ] {
            let refused = check_url(wrong, Reach::Public);
            assert!(matches!(refused, Err(Error::Invalid { field: "target", .. })), "{wrong}");
        }
        for wrong in ["ftp://hooks.example/", "https://u:p@h.example/", "file:///etc/passwd"] {
            assert!(check_url(wrong, Reach::Everything).is_err(), "{wrong}");
        }
        assert!(check_url("http://127.0.0.1:8080/", Reach::Everything).is_ok());
        let long = format!("https://h.example/{}", "x".repeat(2_000));
        assert!(check_url(&long, Reach::Public).is_err());
    }

    #[tokio::test]
    async fn a_name_of_a_private_address_is_not_resolved() {
        let resolved = PublicResolver.resolve("localhost".parse().unwrap()).await;
        assert_eq!(resolved.err().unwrap().to_string(), "the name has no public address");
    }
}
