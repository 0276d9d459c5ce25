//! Where a request comes from, even when a proxy of ours stands in between.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header;

use super::request_id;
use crate::app::App;
use crate::db::Via;

/// The client's address: the peer of the connection or, behind `trusted_proxies` proxies of ours,
/// the entry of `X-Forwarded-For` that the outermost of them wrote, counted from the right because
/// everything further left is the caller's own invention.
///
/// A missing or unreadable entry falls back to the peer; a peer without an address (a unix socket)
/// is `0.0.0.0`.
pub fn client_ip(req: &HttpRequest, trusted_proxies: u8) -> IpAddr {
    let peer = || req.peer_addr().map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.ip());
    forwarded_for(req, trusted_proxies).unwrap_or_else(peer).to_canonical()
}

impl Via {
    /// Where a request comes from.
    pub fn of(req: &HttpRequest) -> Self {
        let ip = client_ip(req, App::of(req).config.trusted_proxies);
        Self { request_id: request_id::of(req), ip: Some(ip) }
    }
}

fn forwarded_for(req: &HttpRequest, trusted_proxies: u8) -> Option<IpAddr> {
    if trusted_proxies == 0 {
        return None;
    }
    let lines = req.headers().get_all(header::X_FORWARDED_FOR);
    // An unreadable line still holds its place, or the count from the right would slip.
    let entries: Vec<&str> =
        lines.flat_map(|line| line.to_str().unwrap_or_default().split(',')).collect();
    let index = entries.len().checked_sub(trusted_proxies.into())?;
    address(entries[index].trim())
}

/// An address as proxies write it: bare, or with a port.
fn address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn seen(trusted_proxies: u8, forwarded: &[&str]) -> String {
        let mut req = TestRequest::default().peer_addr("[::ffff:10.0.0.9]:4000".parse().unwrap());
        for line in forwarded {
            req = req.append_header((header::X_FORWARDED_FOR, *line));
        }
        client_ip(&req.to_http_request(), trusted_proxies).to_string()
    }

    #[test]
    fn without_trusted_proxies_the_peer_counts_whatever_the_caller_claims() {
        assert_eq!(seen(0, &[]), "10.0.0.9");
        assert_eq!(seen(0, &["203.0.113.7"]), "10.0.0.9");
    }

    #[test]
    fn each_trusted_proxy_moves_one_entry_to_the_left() {
        let line = "6.6.6.6, 203.0.113.7, 198.51.100.2";
        assert_eq!(seen(1, &[line]), "198.51.100.2");
        assert_eq!(seen(2, &[line]), "203.0.113.7");
        assert_eq!(seen(2, &["6.6.6.6", "203.0.113.7", "198.51.100.2"]), "203.0.113.7");
    }

    #[test]
    fn ports_and_both_families_are_understood() {
        assert_eq!(seen(1, &["203.0.113.7:5123"]), "203.0.113.7");
        assert_eq!(seen(1, &["[2001:db8::1]:443"]), "2001:db8::1");
        assert_eq!(seen(1, &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(seen(1, &["::ffff:203.0.113.7"]), "203.0.113.7");
    }

    #[test]
    fn a_missing_short_or_unreadable_list_falls_back_to_the_peer() {
        for (trusted, lines) in
            [(1, &[][..]), (2, &["203.0.113.7"]), (1, &["unknown"]), (1, &["1.2.3.4,"])]
        {
            assert_eq!(seen(trusted, lines), "10.0.0.9", "{lines:?}");
        }
    }

    #[test]
    fn a_peer_without_an_address_is_unspecified() {
        let req = TestRequest::default().to_http_request();
        assert_eq!(client_ip(&req, 0).to_string(), "0.0.0.0");
    }
}
