//! What every request passes before it is answered, and what every answer carries.
//!
//! Invariant: every answer has the headers that keep a page from running or loading anything foreign; everything but the stylesheet,
//! the script and the probes is for visitors that the hook lets in. Limit: attempts to guess a password are not counted.

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::access::Visitor;
use crate::app::App;
use crate::csrf;
use crate::html::plain;
use crate::links::Base;

/// Nothing is loaded but our own stylesheet and script, nothing runs inline, and nobody frames us.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'self'; \
                      frame-ancestors 'none'; base-uri 'none'";

/// Who asks for what, for the page that answers.
#[derive(Debug, Clone)]
pub(crate) struct Guest {
    pub(crate) visitor: Visitor,
    pub(crate) base: Base,
    pub(crate) uri: Uri,
}

/// Answers who may be answered.
pub(crate) async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    let is_open = path.starts_with("/assets/") || path.starts_with("/health/");
    let refused = if is_open { None } else { admit(&app, &mut request) };
    let mut response = match refused {
        Some(response) => response,
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // Not `no-referrer`, with which a browser would not say where a form comes from.
        (REFERRER_POLICY, "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // What somebody was shown is nobody else's, and old when it is looked at again.
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Puts the visitor into the request; or says why not.
fn admit(app: &App, request: &mut Request) -> Option<Response> {
    if !names_us(app, request) {
        let why = "This dashboard is not known by this name: it answers to localhost only, lest a page of another \
                   site reads it under a name of its own. `howdah dashboard --host NAME` allows another name.";
        return Some(plain(StatusCode::MISDIRECTED_REQUEST, why));
    }
    // The hook sees what there is of the request but for its body.
    let (mut parts, body) = std::mem::take(request).into_parts();
    let visitor = app.auth.as_ref().and_then(|hook| hook(&parts));
    let base = app.prefix.clone().unwrap_or_else(|| Base::of(&parts));
    let refused = match visitor {
        Some(visitor) => {
            let guest = Guest { visitor, base, uri: parts.uri.clone() };
            parts.extensions.insert(guest);
            None
        }
        None if app.challenge => {
            let challenge = [(WWW_AUTHENTICATE, r#"Basic realm="howdah", charset="UTF-8""#)];
            Some(
                (challenge, plain(StatusCode::UNAUTHORIZED, "Who are you? A name and a password are needed."))
                    .into_response(),
            )
        }
        None => Some(plain(StatusCode::FORBIDDEN, "You may not see this dashboard.")),
    };
    *request = Request::from_parts(parts, body);
    refused
}

/// Whether it is asked under one of its own names, if it has any.
fn names_us(app: &App, request: &Request) -> bool {
    let Some(hosts) = &app.hosts else { return true };
    let authority = csrf::authority(request.headers(), request.uri()).unwrap_or_default();
    // Without the port; an IPv6 address is in brackets.
    let name = match authority.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => authority,
    };
    hosts.iter().any(|known| known.eq_ignore_ascii_case(name))
}
