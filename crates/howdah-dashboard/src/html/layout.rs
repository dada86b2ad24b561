//! What is around every page: the head, the way to the other pages, and the landmarks.
//!
//! Invariant: nothing runs and nothing is styled but by the two files that are compiled in. Limit: one column.

use maud::{DOCTYPE, Markup, html};

use super::text;
use crate::assets;
use crate::view::View;

/// Name, address, and the key after `g`.
const PAGES: [(&str, &str, &str); 10] = [
    ("Overview", "/", "o"),
    ("Jobs", "/jobs", "j"),
    ("Queues", "/queues", "q"),
    ("Kinds", "/kinds", "i"),
    ("Errors", "/errors", "e"),
    ("Cron", "/cron", "c"),
    ("Workflows", "/workflows", "w"),
    ("Workers", "/workers", "k"),
    ("Operations", "/operations", "p"),
    ("Health", "/health", "h"),
];

pub(crate) fn page(view: &View, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="robots" content="noindex, nofollow";
                title { (text::plain(title, 120)) " · howdah" }
                link rel="stylesheet" href=(view.to(&assets::STYLE.path()));
                script defer src=(view.to(&assets::SCRIPT.path())) {}
            }
            body {
                a.skip href="#main" { "Skip to the page" }
                header {
                    nav aria-label="Pages" {
                        a.brand href=(view.to("/")) { "howdah" }
                        @for (name, page, key) in PAGES {
                            a href=(view.to(page)) data-go=(key) aria-current=[is_current(view, page).then_some("page")] { (name) }
                        }
                    }
                    p.who { (text::short(view.visitor.name(), 40)) " (" (view.visitor.role()) ")" }
                }
                main id="main" tabindex="-1" { (body) }
                footer { p { "Times are UTC. " span data-live-state {} span data-keys {} } }
            }
        }
    }
}

/// Whether this page, or one below it, is shown.
fn is_current(view: &View, page: &str) -> bool {
    let path = view.uri.path();
    if page == "/" {
        path == "/"
    } else {
        path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}
