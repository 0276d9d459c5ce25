//! Our own requests to addresses that others gave us: never to the company's inside, never elsewhere
//! than to the address that was checked.
//!
//! A name is resolved once per connection; every address it has is looked at in its plain form, and
//! only those that passed are connected to. Redirects are not followed and no proxy is used.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use ureq::config::Config;
use ureq::http::Uri;
use ureq::tls::TlsConfig;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Error, Timeout};
use url::{Host, Url};

use crate::crypto;

/// How long somebody who sets an address waits for its name to be looked up.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// Which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Those of the public internet.
    Public,
    /// These and this machine: for development.
    Loopback,
    /// All there are: for those who trust everybody that may set an address.
    Anywhere,
}

impl Reach {
    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Loopback => is_public(address) || address.to_canonical().is_loopback(),
            Self::Anywhere => true,
        }
    }
}

/// An agent that reaches no further than this and takes no longer than `timeout` for everything.
pub fn agent(reach: Reach, timeout: Duration) -> Agent {
    let config = Agent::config_builder()
        .tls_config(TlsConfig::builder().unversioned_rustls_crypto_provider(crypto::tls()).build())
        .timeout_global(Some(timeout))
        .max_redirects(0)
        .proxy(None)
        .http_status_as_error(false)
        // A kept connection would belong to an address that was checked some time ago.
        .max_idle_connections(0)
        .user_agent(concat!("ecrm/", env!("CARGO_PKG_VERSION")))
        .build();
    let resolver = Guard { reach, inner: DefaultResolver::default() };
    Agent::with_parts(config, DefaultConnector::default(), resolver)
}

/// Lets through the addresses that may be reached.
#[derive(Debug)]
struct Guard<R> {
    reach: Reach,
    inner: R,
}

impl<R: Resolver> Resolver for Guard<R> {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let all = self.inner.resolve(uri, config, timeout).map_err(|error| match error {
            // The system does not say what it was that it did not find.
            Error::Io(_) => Error::HostNotFound,
            other => other,
        })?;
        let mut allowed = self.empty();
        for address in all.iter().filter(|address| self.reach.allows(address.ip())) {
            allowed.push(*address);
        }
        if allowed.is_empty() { Err(Error::Other(Box::new(PrivateAddress))) } else { Ok(allowed) }
    }
}

/// A name has no address that may be reached.
#[derive(Debug)]
pub struct PrivateAddress;

impl fmt::Display for PrivateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the address is not a public one")
    }
}

impl std::error::Error for PrivateAddress {}

/// The code of such an address.
pub const PRIVATE_ADDRESS: &str = "private_address";

/// Whether a request failed because its address may not be reached.
pub fn is_private(error: &Error) -> bool {
    matches!(error, Error::Other(inner) if inner.is::<PrivateAddress>())
}

/// What is wrong with an address that somebody wants us to send to: a code and a reason.
pub type Fault = (&'static str, &'static str);

const INSIDE: Fault = (PRIVATE_ADDRESS, "must be an address of the public internet");

/// What is wrong with an address, also where its name leads inside now: waits for the network. A name
/// that nobody knows, or nobody in time, may lead somewhere later; what it leads to is looked at again
/// before each request.
pub fn fault_of(text: &str, reach: Reach) -> Option<Fault> {
    let url = match check_url(text, reach) {
        Ok(url) => url,
        Err(fault) => return Some(fault),
    };
    let guard = Guard { reach, inner: DefaultResolver::default() };
    leads_inside(&url, &guard).then_some(INSIDE)
}

/// Whether a name leads nowhere but inside. Numbers have been looked at, and where all is allowed there is
/// nothing to look up.
fn leads_inside(url: &Url, guard: &Guard<impl Resolver>) -> bool {
    let is_name = matches!(url.host(), Some(Host::Domain(_)));
    if !is_name || guard.reach == Reach::Anywhere {
        return false;
    }
    let Ok(uri) = url.as_str().parse::<Uri>() else { return false };
    let timeout = NextTimeout {
        after: LOOK_UP_TIMEOUT.into(),
        reason: Timeout::Resolve,
        ..NextTimeout::default()
    };
    guard.resolve(&uri, &Config::default(), timeout).is_err_and(|error| is_private(&error))
}

/// Holds an address against the rules as far as its text goes.
///
/// # Errors
/// `invalid_url`, or `private_address` where it plainly leads inside.
pub fn check_url(text: &str, reach: Reach) -> Result<Url, Fault> {
    let invalid = |reason| ("invalid_url", reason);
    let url = Url::parse(text).map_err(|_unread| invalid("is not a URL"))?;
    let is_allowed_plain = url.scheme() == "http" && reach == Reach::Anywhere;
    if url.scheme() != "https" && !is_allowed_plain {
        return Err(invalid("must be an https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("must not carry a user name or password"));
    }
    if url.port() == Some(0) {
        return Err(invalid("must have a port from 1 to 65535"));
    }
    let is_inside = match url.host() {
        None => return Err(invalid("must name a host")),
        Some(Host::Domain(name)) => is_inside(name) && reach != Reach::Anywhere,
        Some(Host::Ipv4(address)) => !reach.allows(address.into()),
        Some(Host::Ipv6(address)) => !reach.allows(address.into()),
    };
    if is_inside {
        return Err(INSIDE);
    }
    Ok(url)
}

/// Names that mean this machine or this network wherever they are resolved.
fn is_inside(name: &str) -> bool {
    const ENDINGS: [&str; 6] =
        ["localhost", "local", "internal", "localdomain", "home.arpa", "lan"];
    let name = name.trim_end_matches('.');
    let ends_in = |ending: &&str| {
        name.strip_suffix(*ending).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !name.contains('.') || ENDINGS.iter().any(ends_in)
}

/// Networks that are not the public internet (IANA special-purpose registry), multicast and what is
/// reserved; and the one public address that means a cloud's own services.
const V4: [(Ipv4Addr, u32); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// The same within `2000::/3`, outside of which nothing is public: protocols (Teredo among them),
/// documentation, 6to4.
const V6: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// What translates to IPv4 on networks that have none (RFC 6052).
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);
const GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Whether an address belongs to the public internet, also where it is an IPv4 address in disguise.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => !V4.iter().any(|network| holds_v4(network, address)),
        IpAddr::V6(address) if holds_v6(&NAT64, address) => {
            let [.., a, b, c, d] = address.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        IpAddr::V6(address) => {
            holds_v6(&GLOBAL, address) && !V6.iter().any(|network| holds_v6(network, address))
        }
    }
}

fn holds_v4((network, bits): &(Ipv4Addr, u32), address: Ipv4Addr) -> bool {
    (network.to_bits() ^ address.to_bits()) >> (32 - bits) == 0
}

fn holds_v6((network, bits): &(Ipv6Addr, u32), address: Ipv6Addr) -> bool {
    (network.to_bits() ^ address.to_bits()) >> (128 - bits) == 0
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_are_public() {
        for public in ["1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "127.0.0.1",
            "127.255.0.2",
            "168.63.129.16",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.168.1.1",
            "198.19.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::1.1.1.1",
            "::ffff:127.0.0.1",
            "::ffff:a9fe:a9fe",
            "64:ff9b::10.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for disguised in ["::ffff:1.1.1.1", "64:ff9b::1.1.1.1"] {
            assert!(is_public(disguised.parse().unwrap()), "{disguised}");
        }
    }

    #[test]
    fn an_address_that_leads_inside_is_refused_however_it_is_written() {
        for inside in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://127.1/",
            "https://127。0。0。1/",
            "https://[::ffff:10.0.0.1]/",
            "https://[::1]:8443/",
            "https://localhost/",
            "https://LOCALHOST./",
            "https://api.localhost/",
            "https://printer.local/",
            "https://metadata.google.internal/computeMetadata/v1/",
            "https://metadata/",
            "https://169.254.169.254/latest/meta-data/",
            "https://router.home.arpa/",
        ] {
            let refused = check_url(inside, Reach::Public).expect_err(inside);
            assert_eq!(refused.0, "private_address", "{inside}");
        }
        for invalid in [
            "",
            "hooks",
            "http://example.com/",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https://user@example.com/",
            "https://:secret@example.com/",
            "https://example.com:0/",
            "https://example.com:65536/",
            "https://",
        ] {
            assert_eq!(check_url(invalid, Reach::Public).expect_err(invalid).0, "invalid_url");
        }
        for fine in
            ["https://example.com/hooks?a=b", "https://mylocal.example:8443/", "https://1.1.1.1"]
        {
            assert!(check_url(fine, Reach::Public).is_ok(), "{fine}");
        }
        for inside in ["http://127.0.0.1:9/", "http://localhost/", "https://10.0.0.1/"] {
            assert!(check_url(inside, Reach::Anywhere).is_ok(), "{inside}");
        }
    }

    /// Knows some names.
    #[derive(Debug)]
    struct Names;

    impl Resolver for Names {
        fn resolve(
            &self,
            uri: &Uri,
            _: &Config,
            _: NextTimeout,
        ) -> Result<ResolvedSocketAddrs, Error> {
            let addresses: &[&str] = match uri.host() {
                Some("inside.example.com") => &["10.0.0.8:443", "[fd00::8]:443"],
                Some("both.example.com") => &["10.0.0.8:443", "1.1.1.1:443"],
                // As the system says it.
                _ => return Err(Error::Io(std::io::Error::other("failed to lookup"))),
            };
            let mut found = self.empty();
            addresses.iter().for_each(|address| found.push(address.parse().unwrap()));
            Ok(found)
        }
    }

    #[test]
    fn a_name_that_leads_nowhere_but_inside_is_told_from_others() {
        let leads_inside = |url: &str, reach| {
            leads_inside(&Url::parse(url).unwrap(), &Guard { reach, inner: Names })
        };
        assert!(leads_inside("https://inside.example.com/hooks", Reach::Public));
        assert!(!leads_inside("https://inside.example.com/hooks", Reach::Anywhere));
        for fine in ["https://both.example.com/", "https://later.example.com/"] {
            assert!(!leads_inside(fine, Reach::Public), "{fine}");
        }
    }

    #[test]
    fn a_name_that_nobody_knows_is_told_from_a_connection_that_fails() {
        let guard = Guard { reach: Reach::Public, inner: Names };
        let timeout = NextTimeout {
            after: LOOK_UP_TIMEOUT.into(),
            reason: Timeout::Resolve,
            ..NextTimeout::default()
        };
        let uri = Uri::from_static("https://later.example.com/");
        let error = guard.resolve(&uri, &Config::default(), timeout).unwrap_err();
        assert!(matches!(error, Error::HostNotFound), "{error:?}");
        let asked = agent(Reach::Anywhere, Duration::from_secs(5));
        let error = asked.get("http://nobody.invalid/").call().unwrap_err();
        assert!(matches!(error, Error::HostNotFound), "{error:?}");
    }

    #[test]
    fn no_connection_is_made_to_what_a_name_resolves_to_inside() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]"] {
            let asked = agent(Reach::Public, Duration::from_secs(2));
            let error = asked.get(format!("http://{host}:{port}/")).call().unwrap_err();
            assert!(is_private(&error), "{host}: {error:?}");
        }
        assert!(listener.accept().is_err(), "somebody connected");
        let near = agent(Reach::Loopback, Duration::from_millis(300));
        assert!(!is_private(&near.get(format!("http://127.0.0.1:{port}/")).call().unwrap_err()));
        assert!(listener.accept().is_ok(), "nobody connected");
    }
}
