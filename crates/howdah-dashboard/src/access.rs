//! Who looks, and what they may do.
//!
//! Invariant: nobody is let in unasked: without a hook every request is refused. Limit: three roles, for the whole of the
//! dashboard.

use std::fmt;
use std::sync::Arc;

use axum::http::request::Parts;

/// What somebody may do. Each may do what those before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// See everything, payloads as well, and change nothing.
    Read,
    /// Retry, cancel, move and put off jobs; pause and resume queues and schedules; run a schedule.
    Operate,
    /// Also delete jobs for good.
    Admin,
}

impl Role {
    /// Its name: `read`, `operate`, `admin`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Somebody who looks at the dashboard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visitor {
    name: String,
    role: Role,
}

impl Visitor {
    /// Somebody of this name, which the audit will say, with this role.
    pub fn new(name: impl Into<String>, role: Role) -> Self {
        Self { name: name.into(), role }
    }

    /// Their name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Their role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// With no more rights than this role has.
    #[must_use]
    pub fn at_most(mut self, role: Role) -> Self {
        self.role = self.role.min(role);
        self
    }
}

/// Tells who sent a request, by its headers and by what the application's own layers have put into its extensions.
pub(crate) type AuthHook = Arc<dyn Fn(&Parts) -> Option<Visitor> + Send + Sync>;
