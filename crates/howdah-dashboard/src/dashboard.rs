//! What a dashboard is made of.
//!
//! Invariant: without a hook nobody is let in. Limit: what is set here holds as long as the router.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::request::Parts;
use howdah::Howdah;
use howdah_admin::Admin;

use crate::access::{AuthHook, Visitor};
use crate::app::{App, Inner, PATIENCE};
use crate::csrf::Secret;
use crate::html::json::Redact;
use crate::keys::Keys;
use crate::links::Base;
use crate::live::Sampler;
use crate::pages::health::Doctor;
use crate::probes::Probe;
use crate::stale::Stale;
use crate::{acts, api, guard, pages};

/// So large is a form at most, in bytes: a thousand ids fit.
const FORM: usize = 128 << 10;

/// A dashboard of one queue's database. [`router`](Self::router) gives what an axum application nests under any prefix.
#[must_use = "a dashboard is nothing before its router is served"]
pub struct Dashboard {
    howdah: Howdah,
    auth: Option<AuthHook>,
    challenge: bool,
    redact: Option<Redact>,
    prefix: Option<Base>,
    hosts: Option<Vec<String>>,
    secret: Secret,
}

impl fmt::Debug for Dashboard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dashboard").field("prefix", &self.prefix).field("hosts", &self.hosts).finish_non_exhaustive()
    }
}

impl Dashboard {
    /// A dashboard that lets nobody in yet: say who may by [`auth`](Self::auth) or [`keys`](Self::keys). It takes its connections
    /// from the pool of this handle; a pool of its own of two or three keeps it apart from the application.
    pub fn new(howdah: Howdah) -> Self {
        Self { howdah, auth: None, challenge: false, redact: None, prefix: None, hosts: None, secret: Secret::random() }
    }

    /// Who sends a request, and what they may do, by its headers and by what the application's own layers have put into its
    /// extensions. `None` is nobody, who is refused. It is asked for each request and must not block.
    pub fn auth(mut self, hook: impl Fn(&Parts) -> Option<Visitor> + Send + Sync + 'static) -> Self {
        self.auth = Some(Arc::new(hook));
        self.challenge = false;
        self
    }

    /// Lets in who has one of these passwords or tokens; a browser asks for them (HTTP basic authentication: serve it behind TLS).
    pub fn keys(self, keys: Keys) -> Self {
        let mut known = self.auth(move |request| keys.visitor(&request.headers));
        known.challenge = true;
        known
    }

    /// What of payloads, results and steps is not shown: asked with the kind of the job and with the names that lead to a value
    /// (none for the whole; elements of arrays are at the place of their array). Said yes, the value is left out with all that
    /// is in it. Error messages and logs are shown as they are, and a search can still ask for values that are hidden.
    pub fn redact(mut self, hook: impl Fn(&str, &[&str]) -> bool + Send + Sync + 'static) -> Self {
        self.redact = Some(Arc::new(hook));
        self
    }

    /// The prefix of all links, if a proxy takes it away before the request comes here. Where an axum router nests the
    /// dashboard it is seen by itself.
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefix = Some(Base::named(prefix));
        self
    }

    /// Answers only to these host names (without a port; IPv6 addresses in brackets), so that no other site can give itself this address and read what is
    /// shown. Needed where nobody has to say who they are. Default: any.
    pub fn hosts<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.hosts = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// What the tokens of forms are made with, the same in all processes behind one address. Default: a random one, so that
    /// forms of before a restart are refused after it.
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.secret = Secret::of(secret);
        self
    }

    /// The router, for any axum application. It needs a tokio runtime.
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let admin = Admin::new(self.howdah).statement_timeout(PATIENCE);
        let app: App = Arc::new(Inner {
            sampler: Sampler::new(admin.clone()),
            admin,
            auth: self.auth,
            challenge: self.challenge,
            redact: self.redact,
            prefix: self.prefix,
            hosts: self.hosts,
            secret: self.secret,
            stale: Stale::default(),
            probe: Probe::default(),
            doctor: Doctor::default(),
        });
        let mut router = pages::routes().merge(api::routes());
        for (path, write) in acts::writes() {
            router = router.route(path, write);
        }
        router
            .fallback(pages::missing)
            .layer(DefaultBodyLimit::max(FORM))
            .layer(axum::middleware::from_fn_with_state(app.clone(), guard::guard))
            .with_state(app)
    }
}
