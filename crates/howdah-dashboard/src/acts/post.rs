//! A form that was sent.
//!
//! Invariant: it exists only if it came from a page of this dashboard, and from somebody with the role that it needs. Limit: what is in it
//! has still to be looked at.

use std::marker::PhantomData;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};

use crate::access::Role;
use crate::app::App;
use crate::csrf;
use crate::error::Failure;
use crate::html::plain;
use crate::links::{self, Link};
use crate::view::View;

/// Which role a form needs.
pub(crate) trait Needs: Send + Sync + 'static {
    /// This one.
    const ROLE: Role;
}

/// [`Role::Operate`].
pub(crate) struct Operate;
/// [`Role::Admin`].
pub(crate) struct Administer;

impl Needs for Operate {
    const ROLE: Role = Role::Operate;
}
impl Needs for Administer {
    const ROLE: Role = Role::Admin;
}

/// A form of somebody who may send it.
pub(crate) struct Post<N> {
    pub(crate) view: View,
    fields: Vec<(String, String)>,
    needs: PhantomData<N>,
}

impl<N: Needs> FromRequest<App> for Post<N> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        if request.method() != Method::POST {
            return Err(StatusCode::METHOD_NOT_ALLOWED.into_response());
        }
        if !csrf::is_of_this_site(request.headers(), request.uri()) {
            return Err(plain(StatusCode::FORBIDDEN, "This came from a page of another site, and nothing was done."));
        }
        let (mut parts, body) = request.into_parts();
        let view = View::from_request_parts(&mut parts, app).await?;
        let request = Request::from_parts(parts, body);
        let Form(fields) =
            Form::<Vec<(String, String)>>::from_request(request, app).await.map_err(IntoResponse::into_response)?;
        if fields.iter().any(|(_, value)| value.contains('\0')) {
            return Err(view.fail(&Failure::Refused("The character NUL cannot be stored.".into())));
        }
        let post = Self { view, fields, needs: PhantomData };
        if !app.secret.fits(post.view.visitor.name(), post.text("token")) {
            let why = "This form is of before the dashboard was restarted, or of somebody else, and nothing was done. \
                       Go back, load the page again, and send it once more.";
            return Err(plain(StatusCode::FORBIDDEN, why));
        }
        if !post.view.may(N::ROLE) {
            return Err(post.view.fail(&Failure::Forbidden(N::ROLE.as_str())));
        }
        Ok(post)
    }
}

impl<N> Post<N> {
    /// What was typed there, without white space around it; empty if nothing.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// The same, or nothing.
    pub(crate) fn maybe(&self, name: &str) -> Option<&str> {
        Some(self.text(name)).filter(|text| !text.is_empty())
    }

    /// The number of what it is about.
    pub(crate) fn id(&self) -> Result<i64, Failure> {
        self.text("id").parse().map_err(|_| Failure::Refused("It is not said what this is about.".into()))
    }

    /// The name of what it is about.
    pub(crate) fn name(&self) -> Result<&str, Failure> {
        // Names may begin and end with white space.
        let name = self.fields.iter().find(|(key, _)| key == "name").map_or("", |(_, value)| value);
        if name.is_empty() {
            return Err(Failure::Refused("It is not said what this is about.".into()));
        }
        Ok(name)
    }

    /// All that was given by this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Back to the page that the form says it was on, or to this one.
    pub(crate) fn back(&self, otherwise: &str) -> Link {
        let page = self.text("back");
        self.view.to(if links::is_page(page) { page } else { otherwise })
    }

    /// Goes to a page when it is done, or says why it was not.
    pub(crate) fn answer(&self, done: Result<Link, Failure>) -> Response {
        match done {
            Ok(page) => Redirect::to(&page.to_string()).into_response(),
            Err(failure) => self.view.fail(&failure),
        }
    }
}
