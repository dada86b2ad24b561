//! Users of a database who log in with a password and have one of the queue's roles, or none.
//!
//! Invariant: the roles are named after the test's database, so that tests do not meet in the cluster. Limit: they stay
//! there until the server goes.

use anyhow::Result;
use howdah::{Howdah, Roles};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use crate::{Db, Session};

/// The roles of a database, and how to log in.
#[derive(Debug)]
pub struct Guests {
    /// As `create_roles` has made them.
    pub roles: Roles,
    prefix: String,
    options: PgConnectOptions,
}

impl Guests {
    /// Makes the roles, and users `PREFIX_a_producer` and so on who have one each; `PREFIX_a_stranger` has none.
    ///
    /// # Errors
    /// What the server says.
    pub async fn new(db: &Db) -> Result<Self> {
        let prefix = db.text("current_database()").await?;
        let roles = db.howdah.create_roles(Some(&prefix)).await?;
        let guests = Self { roles, options: (*db.pool().connect_options()).clone(), prefix };
        for role in ["producer", "worker", "viewer", "operator", "owner", "stranger"] {
            let user = guests.user(role);
            db.run(&format!("CREATE ROLE {user} LOGIN PASSWORD 'a secret'")).await?;
            if role != "stranger" {
                db.run(&format!("GRANT {}_{role} TO {user}", guests.prefix)).await?;
            }
        }
        Ok(guests)
    }

    /// The user who has this role.
    #[must_use]
    pub fn user(&self, role: &str) -> String {
        format!("{}_a_{role}", self.prefix)
    }

    /// How the user who has this role connects.
    #[must_use]
    pub fn options(&self, role: &str) -> PgConnectOptions {
        self.options.clone().username(&self.user(role)).password("a secret")
    }

    /// A connection of the user who has this role.
    ///
    /// # Errors
    /// What the server says.
    pub async fn session(&self, role: &str) -> Result<Session> {
        Ok(Session(PgConnection::connect_with(&self.options(role)).await?))
    }

    /// The queue, for the user who has this role.
    ///
    /// # Errors
    /// What the server says.
    pub async fn howdah(&self, role: &str) -> Result<Howdah> {
        Ok(Howdah::from_pool(PgPoolOptions::new().max_connections(5).connect_with(self.options(role)).await?))
    }
}
