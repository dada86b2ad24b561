//! A request for a page, and its answer.
//!
//! Invariant: a page is whole whatever the database does: what cannot be had now is shown as it was last, with its age, or the page says
//! why not. Limit: reads only; see `acts` for what changes something.

use std::time::Instant;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, PreEscaped, html};

use crate::access::{Role, Visitor};
use crate::app::App;
use crate::error::Failure;
use crate::guard::Guest;
use crate::html::json::Rule;
use crate::html::{layout, text};
use crate::links::{Base, Link, is_page};

/// Who looks at what.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) app: App,
    pub(crate) visitor: Visitor,
    pub(crate) base: Base,
    pub(crate) uri: Uri,
    /// The script asks, for a tab in which something has changed.
    is_live: bool,
    is_get: bool,
    query: Vec<(String, String)>,
}

impl FromRequestParts<App> for View {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        // The guard has let them in, or we would not be asked.
        let Some(guest) = parts.extensions.get::<Guest>().cloned() else {
            return Err(StatusCode::FORBIDDEN.into_response());
        };
        let query = Query::try_from_uri(&parts.uri).map(|Query(pairs)| pairs).unwrap_or_default();
        let is_get = parts.method == Method::GET;
        let is_live = parts.headers.contains_key("x-howdah-live");
        Ok(Self { app: app.clone(), visitor: guest.visitor, base: guest.base, uri: guest.uri, is_live, is_get, query })
    }
}

impl View {
    /// A link to a page.
    pub(crate) fn to(&self, page: &str) -> Link {
        self.base.to(page)
    }

    /// What the query of the address says of this; empty if nothing.
    pub(crate) fn asked(&self, name: &str) -> &str {
        self.query.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// A number of the address.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.asked(name).parse().ok()
    }

    /// This page with its query, without the prefix.
    pub(crate) fn here(&self) -> &str {
        self.uri.path_and_query().map_or("/", |whole| whole.as_str())
    }

    pub(crate) fn may(&self, role: Role) -> bool {
        self.visitor.role() >= role
    }

    /// What of a job of this kind is to be hidden.
    pub(crate) fn rule<'a>(&'a self, kind: &'a str) -> Rule<'a> {
        Rule { hook: self.app.redact.as_ref(), kind }
    }

    /// The token that belongs into every form.
    pub(crate) fn token(&self) -> String {
        self.app.secret.token(self.visitor.name())
    }

    /// A page with one part that asks the database.
    pub(crate) async fn page(&self, title: &str, body: impl Future<Output = Result<Markup, Failure>>) -> Response {
        match self.try_part("page", body).await {
            Ok(body) => self.show(StatusCode::OK, title, &body),
            Err(failure) => self.fail(&failure),
        }
    }

    /// A page that is there.
    pub(crate) fn show(&self, status: StatusCode, title: &str, body: &Markup) -> Response {
        (status, Html(layout::page(self, title, body).into_string())).into_response()
    }

    /// A page that says why there is no other.
    pub(crate) fn fail(&self, failure: &Failure) -> Response {
        let title = match failure {
            Failure::Missing(_) => "Not there",
            Failure::Refused(_) => "That cannot be",
            Failure::Forbidden(_) => "Not allowed",
            Failure::Late(_) => "No answer yet",
            Failure::Broken(_) => "Something is wrong",
        };
        // What begins with two slashes is an address of somebody else.
        let again = Some(self.here()).filter(|here| is_page(here)).unwrap_or("/");
        let body = html! {
            h1 { (title) }
            p.alert role="alert" { (text::name(&failure.text())) }
            @if self.is_get { p { a href=(self.base.to(again)) { "Try again" } } }
            @else if failure.is_late() { p { "It may or may not have been done: look before you send it again." } }
            @else { p { "Nothing was done." } }
            p { a href=(self.to("/")) { "Overview" } }
        };
        self.show(failure.status(), title, &body)
    }

    /// A part of a page: as it is now; if that cannot be had, as it was last; or a line that says why not.
    pub(crate) async fn part(&self, name: &str, body: impl Future<Output = Result<Markup, Failure>>) -> Markup {
        match self.try_part(name, body).await {
            Ok(body) => body,
            Err(failure) => html! { p.alert role="alert" { (text::name(&failure.text())) } },
        }
    }

    async fn try_part(
        &self,
        name: &str,
        body: impl Future<Output = Result<Markup, Failure>>,
    ) -> Result<Markup, Failure> {
        let visitor = &self.visitor;
        let key = format!("{name}\0{}\0{}\0{}", visitor.role(), visitor.name(), self.base.to(self.here()));
        if self.is_live
            && let Some(seen) = self.app.sampler.seen()
            && let Some(last) = self.app.stale.since(&key, seen)
        {
            // Another tab of the same person has asked for the same since the look that both were told of.
            return Ok(PreEscaped(last));
        }
        let start = Instant::now();
        match Failure::in_time(body).await {
            Ok(body) => {
                self.app.stale.keep(key, &body.0, start);
                Ok(body)
            }
            Err(failure) if failure.is_late() => match self.app.stale.last(&key) {
                Some((last, age)) => Ok(html! {
                    p.alert role="status" data-stale { (text::name(&failure.text())) " This is what it was " (age.as_secs()) " s ago." }
                    (PreEscaped(last))
                }),
                None => Err(failure),
            },
            Err(failure) => Err(failure),
        }
    }
}
