//! Writes come from a page of this dashboard, and from nowhere else.
//!
//! Invariant: a write passes two gates that do not depend on each other: what the browser says of where it comes from, and a token
//! that only who can read a page knows. Limit: the token holds as long as the process, unless a secret is given.

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// What tokens are made with.
#[derive(Clone)]
pub(crate) struct Secret([u8; 64]);

impl Secret {
    pub(crate) fn random() -> Self {
        Self(rand::random())
    }

    pub(crate) fn of(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Self(sha2::Sha512::digest(bytes).into())
    }

    fn mac(&self, visitor: &str) -> Hmac<Sha256> {
        // A key as long as a block of the hash is used as it is.
        let mut mac = Hmac::<Sha256>::new(&self.0.into());
        mac.update(b"howdah dashboard form\0");
        mac.update(visitor.as_bytes());
        mac
    }

    /// The token of somebody's forms.
    pub(crate) fn token(&self, visitor: &str) -> String {
        use std::fmt::Write as _;
        let mut token = String::with_capacity(64);
        for byte in self.mac(visitor).finalize().into_bytes() {
            let _ = write!(token, "{byte:02x}");
        }
        token
    }

    /// Whether it is the token of this visitor's forms, in constant time.
    pub(crate) fn fits(&self, visitor: &str, token: &str) -> bool {
        let byte = |at: usize| token.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
        let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(byte).collect();
        bytes.is_some_and(|bytes| self.mac(visitor).verify_slice(&bytes).is_ok())
    }
}

/// The name and port by which a browser asks: of HTTP/1 in a header, of HTTP/2 in the address.
pub(crate) fn authority<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    match headers.get(HOST) {
        Some(host) => host.to_str().ok(),
        None => uri.authority().map(|authority| authority.as_str()),
    }
}

/// Whether a browser says that a request comes from a page of the same origin. What is no browser says neither, and
/// needs the token all the same.
pub(crate) fn is_of_this_site(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin",
        (None, Some(origin)) => {
            let place = origin.split_once("://").map(|(_, place)| place);
            place.is_some() && place == authority(headers, uri)
        }
        (None, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_of_one_visitor_and_one_secret() {
        let (one, other) = (Secret::random(), Secret::random());
        let token = one.token("ann");
        assert!(one.fits("ann", &token));
        assert!(!one.fits("bob", &token));
        assert!(!other.fits("ann", &token));
        for wrong in ["", "zz", "é", &token[1..], &format!("{token}00")] {
            assert!(!one.fits("ann", wrong), "{wrong}");
        }
        assert!(Secret::of(b"shared").fits("ann", &Secret::of(b"shared").token("ann")));
    }

    #[test]
    fn a_page_of_another_site_is_told_by_the_browser() {
        let headers = |pairs: &[(&'static str, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
        };
        let of =
            |uri: &str, pairs: &[(&'static str, &'static str)]| is_of_this_site(&headers(pairs), &uri.parse().unwrap());
        let host = ("host", "a.example:8080");
        assert!(of("/", &[host, ("sec-fetch-site", "same-origin")]));
        assert!(of("/", &[host, ("origin", "http://a.example:8080")]));
        assert!(of("https://a.example/", &[("origin", "https://a.example")]));
        assert!(of("/", &[host]));
        for site in ["cross-site", "same-site", "none", ""] {
            assert!(!of("/", &[host, ("sec-fetch-site", site), ("origin", "http://a.example:8080")]), "{site}");
        }
        for origin in ["http://b.example:8080", "null", "", "http://a.example"] {
            assert!(!of("/", &[host, ("origin", origin)]), "{origin}");
        }
        assert!(!of("/", &[("origin", "https://a.example")]));
    }
}
