//! The dashboard of howdah: an axum router that shows jobs and lets people do something about them.
//!
//! Invariant: pages are whole without JavaScript, everything that comes from the database is text and never markup, and
//! nobody is let in or may write unless the hook says so. Limit: it runs no jobs.
//!
//! ```no_run
//! # async fn example(howdah: howdah::Howdah) -> Result<(), std::io::Error> {
//! use axum::http::request::Parts;
//! use howdah_dashboard::{Dashboard, Role, Visitor};
//!
//! let dashboard = Dashboard::new(howdah)
//!     .auth(|request: &Parts| {
//!         let user = request.headers.get("x-user")?.to_str().ok()?; // set by the proxy before it
//!         Some(Visitor::new(user, Role::Operate))
//!     })
//!     .redact(|_kind: &str, path: &[&str]| path.last() == Some(&"password"));
//! let app = axum::Router::<()>::new().nest("/jobs", dashboard.router());
//! # let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
//! # axum::serve(listener, app).await
//! # }
//! ```

mod access;
mod acts;
mod api;
mod app;
mod assets;
mod csrf;
mod dashboard;
mod error;
mod guard;
mod html;
mod keys;
mod links;
mod live;
mod named;
mod pages;
mod probes;
mod read;
mod serve;
mod stale;
mod view;

pub use access::{Role, Visitor};
pub use dashboard::Dashboard;
pub use html::json::indented;
pub use keys::{KeyError, Keys};
pub use serve::serve;
