//! What all requests of one dashboard share.
//!
//! Invariant: it is made once, by `Dashboard::router`, and cheap to clone. Limit: it holds no state of the queue but the last
//! values that were shown.

use std::sync::Arc;
use std::time::Duration;

use howdah_admin::Admin;

use crate::access::AuthHook;
use crate::csrf::Secret;
use crate::html::json::Redact;
use crate::links::Base;
use crate::live::Sampler;
use crate::pages::health::Doctor;
use crate::probes::Probe;
use crate::stale::Stale;

/// How long a question may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);

/// What one dashboard was made with.
pub(crate) struct Inner {
    pub(crate) admin: Admin,
    pub(crate) auth: Option<AuthHook>,
    /// Whether who is nobody is asked for a name and a password.
    pub(crate) challenge: bool,
    pub(crate) redact: Option<Redact>,
    pub(crate) prefix: Option<Base>,
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) secret: Secret,
    pub(crate) stale: Stale,
    pub(crate) sampler: Sampler,
    pub(crate) probe: Probe,
    pub(crate) doctor: Doctor,
}

/// The same for all requests.
pub(crate) type App = Arc<Inner>;
