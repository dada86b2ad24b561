//! Where the dashboard hangs, and links to its pages.
//!
//! Invariant: every link begins with the prefix under which the request came, and what people named is percent-encoded.
//! Limit: a proxy that takes a prefix away is not seen; tell it by `Dashboard::prefix`.

use std::fmt::{self, Write as _};

use axum::extract::OriginalUri;
use axum::http::request::Parts;

/// The prefix of all links.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Base {
    /// Empty, or `/a/b`.
    path: String,
    /// Whether the first page has a slash at its end: axum nests it without, and proxies want one.
    has_slash: bool,
}

impl Base {
    pub(crate) fn named(prefix: &str) -> Self {
        let path = prefix.trim_matches('/');
        Self { path: if path.is_empty() { String::new() } else { format!("/{path}") }, has_slash: true }
    }

    /// What was taken from the path of a request before it came here.
    pub(crate) fn of(parts: &Parts) -> Self {
        let whole = parts.extensions.get::<OriginalUri>().map_or_else(|| parts.uri.path(), |uri| uri.path());
        let path = whole.strip_suffix(parts.uri.path()).unwrap_or(whole).trim_end_matches('/').to_owned();
        Self { has_slash: path.is_empty(), path }
    }

    /// A page, such as `/jobs`.
    pub(crate) fn to(&self, page: &str) -> Link {
        let is_first = page == "/" || page.starts_with("/?");
        let page = if is_first && !self.has_slash { &page[1..] } else { page };
        Link { url: format!("{}{page}", self.path), has_query: page.contains('?') }
    }
}

/// A link that is being made.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    url: String,
    has_query: bool,
}

impl Link {
    /// With this in its query.
    pub(crate) fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.url.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        self.url.push_str(name);
        self.url.push('=');
        encode(&mut self.url, &value.to_string());
        self
    }
}

impl Link {
    /// Without these in its query.
    pub(crate) fn without(self, names: &[&str]) -> Self {
        let Some((page, query)) = self.url.split_once('?') else { return self };
        let is_kept = |pair: &&str| !names.contains(&pair.split('=').next().unwrap_or_default());
        let kept: Vec<&str> = query.split('&').filter(is_kept).collect();
        match kept.join("&") {
            none if none.is_empty() => Self { url: page.to_owned(), has_query: false },
            kept => Self { url: format!("{page}?{kept}"), has_query: true },
        }
    }
}

/// For attributes.
impl maud::Render for Link {
    fn render_to(&self, buffer: &mut String) {
        self.url.render_to(buffer);
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

/// Everything but letters, digits and a few marks as `%xx`.
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing into a string does not fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}

/// A page of this dashboard to go back to, as a form names it; no other place.
pub(crate) fn is_page(path: &str) -> bool {
    path.starts_with('/') && !path.starts_with("//") && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn base_of(whole: &str, inner: &str) -> Base {
        let (mut parts, ()) = Request::builder().uri(inner).body(()).unwrap().into_parts();
        parts.extensions.insert(OriginalUri(whole.parse().unwrap()));
        Base::of(&parts)
    }

    #[test]
    fn the_prefix_is_what_was_taken_from_the_path() {
        for (whole, inner, base) in [
            ("/", "/", ""),
            ("/jobs/1", "/jobs/1", ""),
            ("/x", "/", "/x"),
            ("/x/", "/", "/x"),
            ("/a/b/jobs?q=/jobs", "/jobs?q=/jobs", "/a/b"),
            ("/jobs/jobs", "/jobs", "/jobs"),
        ] {
            assert_eq!(base_of(whole, inner).path, base, "{whole}");
        }
    }

    #[test]
    fn the_first_page_of_a_nested_router_has_no_slash_at_its_end() {
        let first = |base: Base| [base.to("/").to_string(), base.to("/?a=b").to_string(), base.to("/jobs").to_string()];
        assert_eq!(first(base_of("/x/jobs", "/jobs")), ["/x", "/x?a=b", "/x/jobs"]);
        assert_eq!(first(base_of("/jobs", "/jobs")), ["/", "/?a=b", "/jobs"]);
        assert_eq!(first(Base::named("x")), ["/x/", "/x/?a=b", "/x/jobs"]);
        assert_eq!(first(Base::named("/")), ["/", "/?a=b", "/jobs"]);
    }

    #[test]
    fn names_are_encoded_and_other_places_are_no_pages() {
        let link = Base::named("/x/").to("/queue").with("name", "a/b?c&d=é\u{202e}").with("n", 1);
        assert_eq!(link.to_string(), "/x/queue?name=a%2Fb%3Fc%26d%3D%C3%A9%E2%80%AE&n=1");
        assert_eq!(link.clone().without(&["name"]).to_string(), "/x/queue?n=1");
        assert_eq!(link.without(&["name", "n"]).with("m", 2).to_string(), "/x/queue?m=2");
        assert!(is_page("/jobs?q=state%3Adead"));
        for other in ["//evil.example", "/\\evil.example", "https://evil.example", "", "/a\r\nSet-Cookie: a"] {
            assert!(!is_page(other), "{other}");
        }
    }
}
