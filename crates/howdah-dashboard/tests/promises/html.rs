//! Reading HTML as strictly as it is written here.
//!
//! Invariant: what is no tag or attribute that the dashboard writes is found. Limit: it reads this dashboard's pages, and no others.

use std::collections::HashSet;
use std::sync::LazyLock;

/// A tag: its name and its attributes, as they are written but for references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
}

impl Tag {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| &**value)
    }
}

const TAGS: &str = "html head meta title link script body a header nav p main footer span h1 h2 h3 div dl dt dd table thead tbody tr th td form \
    label input button details summary ul ol li code pre small bdi time br section article progress fieldset legend svg g path rect text datalist option";
const ATTRIBUTES: &str = "lang charset name content rel href defer src class id tabindex role aria-label aria-labelledby aria-current aria-live \
    aria-hidden method action type value maxlength autocomplete autocapitalize spellcheck dir placeholder scope for hidden checked required \
    size formaction datetime title max width height viewBox d x y rx unicode-bidi download data-go data-live data-live-state data-keys data-search \
    list data-all data-row data-selected data-key data-stale";

/// Whether a name is in one of these lists.
fn knows(list: &'static str, name: &str) -> bool {
    static NAMES: LazyLock<[HashSet<&str>; 2]> =
        LazyLock::new(|| [TAGS, ATTRIBUTES].map(|all| all.split_whitespace().collect()));
    NAMES[usize::from(list == ATTRIBUTES)].contains(name)
}

/// All tags of a page.
///
/// # Panics
/// At anything that the dashboard does not write: what is in there is somebody else's.
pub(crate) fn tags(page: &str) -> Vec<Tag> {
    let page = page.strip_prefix("<!DOCTYPE html>").unwrap_or(page);
    let mut tags = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let rest_of_page = rest;
        let closes = rest.starts_with('/');
        rest = rest.trim_start_matches('/');
        let end = rest.find([' ', '>', '/']).unwrap();
        let name = rest[..end].to_owned();
        assert!(knows(TAGS, &name), "a tag of somebody else: <{}", near(rest_of_page));
        rest = &rest[end..];
        let mut attributes = Vec::new();
        while !rest.starts_with('>') {
            rest = rest.trim_start();
            let end = rest.find(['=', ' ', '>']).unwrap();
            let key = rest[..end].to_owned();
            assert!(knows(ATTRIBUTES, &key), "an attribute of somebody else: {}", near(rest_of_page));
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(after) = rest.strip_prefix("=\"") {
                let (inside, after) = after.split_once('"').unwrap();
                value = text(inside);
                rest = after;
            }
            attributes.push((key, value));
        }
        if !closes {
            tags.push(Tag { name, attributes });
        }
    }
    tags
}

fn near(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Text without references.
pub(crate) fn text(html: &str) -> String {
    html.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// What is read on a page: without tags.
pub(crate) fn words(page: &str) -> String {
    let mut words = String::new();
    for part in page.split('<').skip(1) {
        words.push_str(part.split_once('>').map_or("", |(_, text)| text));
    }
    text(&words)
}

/// The addresses to which a page leads.
pub(crate) fn links(page: &str) -> Vec<String> {
    tags(page).iter().filter(|tag| tag.name == "a").filter_map(|tag| tag.get("href")).map(str::to_owned).collect()
}
