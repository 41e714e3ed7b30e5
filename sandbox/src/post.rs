//! A post is an event on its way to an endpoint, ready to be sent.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

/// What is sent, and where; only to this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post {
    pub address: SocketAddr,
    /// The host as the URL names it.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// The value of `Stripe-Signature`.
    pub signature: String,
    pub body: Vec<u8>,
}

/// Where a URL leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub address: SocketAddr,
    pub host: String,
    pub path: String,
}

impl Target {
    /// The target of a plain HTTP URL on this machine; there is none for any other.
    pub(crate) fn of(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("http://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (host, path) = rest.split_at_checked(end)?;
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !is_plain(host) || !is_plain(path) || host.contains('@') {
            return None;
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Some(Self { address: address(host)?, host: host.to_owned(), path })
    }
}

/// The loopback address of a host with or without its port. Names are not looked up: who answers for them may
/// change.
fn address(host: &str) -> Option<SocketAddr> {
    if let Some((name, port)) = host.split_once(':').or(Some((host, "80")))
        && name.eq_ignore_ascii_case("localhost")
    {
        return Some((Ipv4Addr::LOCALHOST, port.parse().ok()?).into());
    }
    let address: Option<SocketAddr> = host.parse().ok();
    let address = address.or_else(|| Some((host.parse::<Ipv4Addr>().ok()?, 80).into()));
    let inner = || host.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok();
    let address = address.or_else(|| Some((inner()?, 80).into()));
    address.filter(|address| address.ip().to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_on_this_machine_has_a_target() {
        let cases = [
            ("http://127.0.0.1:8000/hook?a=b", "127.0.0.1:8000", "/hook?a=b"),
            ("http://127.1.2.3", "127.1.2.3:80", "/"),
            ("http://localhost:8000?x", "127.0.0.1:8000", "/?x"),
            ("http://localhost/hook", "127.0.0.1:80", "/hook"),
            ("http://[::1]:9/hook", "[::1]:9", "/hook"),
            ("http://[::1]/hook", "[::1]:80", "/hook"),
        ];

        for (url, address, path) in cases {
            let target = Target::of(url).map(|target| (target.address.to_string(), target.path));
            assert_eq!(target, Some((address.to_owned(), path.to_owned())), "{url}");
        }
    }

    #[test]
    fn a_url_that_leads_elsewhere_has_none() {
        for url in [
            "",
            "https://127.0.0.1/hook",
            "http://example.com/hook",
            "http://127.0.0.1@example.com/hook",
            "http://user@127.0.0.1/hook",
            "http://10.0.0.1/hook",
            "http://[::ffff:10.0.0.1]/hook",
            "http://0.0.0.0/hook",
            "http://localhost.example.com/hook",
            "http://127.0.0.1:x/hook",
            "http://127.0.0.1/a b",
            "http://127.0.0.1/a\r\nx: y",
        ] {
            assert_eq!(Target::of(url), None, "{url:?}");
        }
    }
}
