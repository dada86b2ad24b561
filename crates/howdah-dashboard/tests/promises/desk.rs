//! A dashboard, its database, and asking it for pages.
//!
//! Invariant: a form is sent as a browser sends it, with what the page had. Limit: one visitor at a time, named by a header.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use howdah::{Answer, Howdah, Statement};
use howdah_dashboard::{Dashboard, Role, Visitor};
use howdah_tests::Db;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

/// A dashboard and its database.
pub(crate) struct Desk {
    pub(crate) db: Db,
    pub(crate) app: Router,
    /// How many questions were asked.
    pub(crate) questions: Arc<AtomicUsize>,
    visitor: &'static str,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The page, which there is.
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        self.body
    }

    /// Where it leads.
    pub(crate) fn leads_to(&self) -> &str {
        assert_eq!(self.status, StatusCode::SEE_OTHER, "{}", self.body);
        self.header("location")
    }
}

/// Who sends a request: `x-visitor: name role`.
pub(crate) fn visitor(request: &Parts) -> Option<Visitor> {
    let (name, role) = request.headers.get("x-visitor")?.to_str().ok()?.split_once(' ')?;
    let role = [Role::Read, Role::Operate, Role::Admin].into_iter().find(|known| known.as_str() == role)?;
    Some(Visitor::new(name, role))
}

impl Desk {
    pub(crate) async fn new() -> Result<Self> {
        Self::with(|dashboard| dashboard.router()).await
    }

    /// With a dashboard as it is made here.
    pub(crate) async fn with(make: impl FnOnce(Dashboard) -> Router) -> Result<Self> {
        let db = Db::new().await?;
        let howdah = Howdah::from_pool(db.pool().clone());
        Ok(Self::over(db, howdah, make))
    }

    /// With a dashboard that asks through this handle.
    pub(crate) fn over(db: Db, howdah: Howdah, make: impl FnOnce(Dashboard) -> Router) -> Self {
        let questions = Arc::<AtomicUsize>::default();
        let counted = questions.clone();
        let howdah = howdah.on_statement(move |statement: &Statement, _: &Answer<'_>| {
            if statement.operation == "question" {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let app = make(Dashboard::new(howdah).auth(visitor));
        Self { db, app, questions, visitor: "ann admin" }
    }

    /// Somebody else looks from now on: name and role.
    pub(crate) fn is(mut self, visitor: &'static str) -> Self {
        self.visitor = visitor;
        self
    }

    pub(crate) fn asked(&self) -> usize {
        self.questions.load(Ordering::Relaxed)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Page {
        let (head, body) = self.app.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Page { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header("x-visitor", self.visitor).header("host", "a.example")
    }

    pub(crate) async fn get(&self, path: &str) -> Page {
        self.send(self.request("GET", path).body(Body::empty()).unwrap()).await
    }

    /// A form of the page at this address, with these fields.
    pub(crate) async fn post(&self, page: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let token = token(&self.get(page).await.body);
        let fields: Vec<(&str, &str)> = fields.iter().copied().chain([("token", &*token)]).collect();
        let request = self.request("POST", path).header("sec-fetch-site", "same-origin");
        self.send(form(request, &fields)).await
    }

    /// The one value that SQL gives.
    pub(crate) async fn text(&self, sql: &str) -> String {
        self.db.text(sql).await.unwrap()
    }
}

/// A form that is sent.
pub(crate) fn form(request: axum::http::request::Builder, fields: &[(&str, &str)]) -> Request<Body> {
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
    request.header("content-type", "application/x-www-form-urlencoded").body(Body::from(pairs.join("&"))).unwrap()
}

/// The token of the forms of a page; any text if it has none.
pub(crate) fn token(page: &str) -> String {
    let at = page.find(r#"name="token" value=""#).map(|at| at + r#"name="token" value=""#.len());
    at.map_or("none", |at| page[at..].split('"').next().unwrap()).to_owned()
}

/// Claims what is ready in the default queue, and fails it with this error.
pub(crate) async fn fail_all(db: &Db, worker: i64, kind: &str, message: &str) -> Result<()> {
    let fail = "SELECT howdah.fail(c.lease_id, ARRAY[c.id], error_kinds => ARRAY[$2], messages => ARRAY[$3]) FROM howdah.claim($1, jobs => 100) c";
    sqlx::query(fail).bind(worker).bind(kind).bind(message).execute(db.pool()).await?;
    Ok(())
}
