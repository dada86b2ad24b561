//! The roles among which the rights to a queue are divided.
//!
//! Invariant: what each of them may do is said in one place, `sql/functions/roles/rights.sql`. Limit: roles are of the
//! whole cluster, and are not removed here.

use super::{Howdah, check_text};
use crate::error::Result;

/// The names of the roles that [`Howdah::create_roles`] has made. None of them can log in.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roles {
    /// Owns the schema and may do everything; the functions run with its rights. Migrations need it.
    pub owner: String,
    /// Enqueues, and sees no job.
    pub producer: String,
    /// Serves queues, and enqueues.
    pub worker: String,
    /// Sees everything, and changes nothing.
    pub viewer: String,
    /// Sees everything, and does what the command `howdah` does to jobs and settings.
    pub operator: String,
}

impl Howdah {
    /// Divides what may be done to the queue among five roles, to be given to users that log in: `GRANT howdah_worker TO
    /// app`. They are named after the schema, or after `prefix` if there is one: roles are of the whole cluster, and where
    /// several of its databases have queues, each may need its own. Nobody else may do anything from then on, but the
    /// owner and superusers. Calling it again mends what was changed by hand.
    ///
    /// The SQL function behind it is `howdah.create_roles`; the command is `howdah migrate up --roles`.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) for a prefix that is longer than 54 bytes, is not that of the roles that
    /// are there, or belongs to a role that can log in; [`Error::Database`](crate::Error::Database) with the code `42501` if
    /// the user may not create roles and some are missing (the hint says which statements to ask for), or is not the owner.
    pub async fn create_roles(&self, prefix: Option<&str>) -> Result<Roles> {
        check_text("prefix", prefix.unwrap_or_default())?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.create_roles($1)")).bind(prefix);
        let names: Vec<String> = self.observe("create_roles", query.fetch_all(self.pool())).await?;
        let named = |role: &str| names.iter().find(|n| n.ends_with(role)).cloned().unwrap_or_default();
        Ok(Roles {
            owner: named("_owner"),
            producer: named("_producer"),
            worker: named("_worker"),
            viewer: named("_viewer"),
            operator: named("_operator"),
        })
    }
}
