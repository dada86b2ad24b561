//! Flow control: which limits, orders and shares a job has, and what they allow.
//!
//! Invariant: a claim decides, in the database and over the whole fleet; a job says only which keys it has. Limit: a
//! worker with a filter takes no jobs that have a [`fair_key`](Enqueue::fair_key).

use std::collections::HashMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sqlx::types::Json;

use super::enqueue::Enqueue;
use super::enqueue_many::EnqueueMany;
use super::{Howdah, check_text};
use crate::error::{Error, Result};

/// The keys of a job, as `howdah.check_options` describes them.
#[derive(Debug, Default, Clone, Serialize, PartialEq)]
pub(super) struct Flow {
    #[serde(rename = "limit_key", skip_serializing_if = "Vec::is_empty")]
    limit_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_on_failure: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fair_key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u32>,
}

impl Flow {
    pub(super) fn check(&self) -> Result<()> {
        self.limit_keys.iter().try_for_each(|key| check_text("limit_key", key))?;
        check_text("order_key", self.order_key.as_deref().unwrap_or_default())?;
        check_text("fair_key", self.fair_key.as_deref().unwrap_or_default())
    }
}

/// The same methods for one job and for many.
macro_rules! flow {
    ($type:ident $(<$output:ident>)?, $self:ident => $flow:expr) => {
        impl<'e $(, $output)?> $type<'e $(, $output)?> {
            /// Counts against the limit of this key, such as `tenant:42`: of all jobs with the key, in whatever queue, so
            /// many run at the same time, or start in a time, as its rule says. See [`Howdah::set_limit`]; a key
            /// without a rule is not limited. Called again, it adds a key, up to eight; the job starts when all of
            /// them let it.
            pub fn limit_key(mut $self, key: impl Into<String>) -> Self {
                $flow.limit_keys.push(key.into());
                $self
            }

            /// Runs one at a time with the other jobs of this key, in the order enqueued (jobs that commit late come
            /// when they have). One that fails keeps the others waiting until it has succeeded or is dead; see
            /// [`let_others_pass`](Self::let_others_pass).
            pub fn order_key(mut $self, key: impl Into<String>) -> Self {
                $flow.order_key = Some(key.into());
                $self
            }

            /// While it waits for its next attempt, the next jobs of its [`order_key`](Self::order_key) go first.
            pub fn let_others_pass(mut $self) -> Self {
                $flow.order_on_failure = Some("pass");
                $self
            }

            /// Shares its queue in turns: each key with waiting jobs, such as a tenant, has one of them started (or as
            /// many as its [weight](Limit::weight)) before any has its next turn, however many the others have. Within
            /// a key the order is that of priority and enqueueing. Jobs of the queue that have no such key get half of it.
            pub fn fair_key(mut $self, key: impl Into<String>) -> Self {
                $flow.fair_key = Some(key.into());
                $self
            }

            /// How many tokens of a rate it takes to start it, 1 to 1,000,000; 1 by default. One that weighs more than
            /// can be saved up starts when everything is there, and those after it wait for longer.
            pub fn weight(mut $self, tokens: u32) -> Self {
                $flow.weight = Some(tokens);
                $self
            }
        }
    };
}

flow!(Enqueue<O>, self => self.options.flow);
flow!(EnqueueMany, self => self.one.options.flow);

/// What the limit of a queue, a kind, a key or a share allows, over the whole fleet: see [`Howdah::set_limit`].
///
/// ```no_run
/// # async fn example(howdah: howdah::Howdah) -> Result<(), howdah::Error> {
/// use howdah::Limit;
/// use std::time::Duration;
/// // Each tenant has five jobs at a time at most; one of them has fifty.
/// howdah.set_limit(Limit::key("tenant:*").max_running(5)).await?;
/// howdah.set_limit(Limit::key("tenant:42").max_running(50)).await?;
/// // A hundred calls a minute, of which ten may come at once.
/// howdah.set_limit(Limit::kind("call_model").rate(100, Duration::from_secs(60)).burst(10)).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
#[must_use = "a limit does nothing until it is given to `set_limit`"]
pub struct Limit {
    /// What it is of: `queue`, `kind`, `key` or `share`.
    pub scope: String,
    /// The name of that. With a `*` at its end it is a rule for each key or share that begins so.
    pub name: String,
    /// So many run at the same time. `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// So many tokens come in each period. `None`: there is no rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// The period, in milliseconds; 1,000 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_period_ms: Option<u64>,
    /// So many tokens are saved up at most; as many as come in a period by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_burst: Option<u32>,
    /// Of a share: how many of its jobs start in its turn; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u32>,
}

impl Limit {
    /// Of all jobs of a queue.
    pub fn queue(name: impl Into<String>) -> Self {
        Self::of("queue", name.into())
    }

    /// Of all jobs of a kind, in whatever queue.
    pub fn kind(name: impl Into<String>) -> Self {
        Self::of("kind", name.into())
    }

    /// Of all jobs with a [`limit_key`](Enqueue::limit_key); with a `*` at its end, of each key that begins so. The
    /// longest that fits is the one that counts.
    pub fn key(name: impl Into<String>) -> Self {
        Self::of("key", name.into())
    }

    /// Of a [`fair_key`](Enqueue::fair_key); with a `*` at its end, of each that begins so. A share has a
    /// [weight](Self::weight) and nothing else.
    pub fn share(name: impl Into<String>) -> Self {
        Self::of("share", name.into())
    }

    fn of(scope: &str, name: String) -> Self {
        let scope = scope.to_owned();
        Self { scope, name, max_running: None, rate: None, rate_period_ms: None, rate_burst: None, weight: None }
    }

    /// So many run at the same time, 0 to 100,000; 0 holds all of them back.
    pub fn max_running(mut self, jobs: u32) -> Self {
        self.max_running = Some(jobs);
        self
    }

    /// So many start in each period, evenly; a job with a [weight](Enqueue::weight) counts as that many.
    pub fn rate(mut self, starts: u32, period: Duration) -> Self {
        self.rate = Some(starts);
        self.rate_period_ms = Some(u64::try_from(period.as_millis()).unwrap_or(u64::MAX));
        self
    }

    /// So many of a [rate](Self::rate) start at once after a pause.
    pub fn burst(mut self, starts: u32) -> Self {
        self.rate_burst = Some(starts);
        self
    }

    /// Of a [share](Self::share): so many of its jobs start in its turn, 1 to 1,000.
    pub fn weight(mut self, jobs: u32) -> Self {
        self.weight = Some(jobs);
        self
    }
}

impl Howdah {
    /// Sets a limit: what is there of the same scope and name is replaced. It holds at once, for every worker; what waits
    /// and may run now is let through within a second or so. What runs already counts, and goes on. The SQL function behind it is
    /// `howdah.set_limit`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field, or `limit` for one that says nothing; [`Error::UnknownQueue`].
    pub async fn set_limit(&self, limit: Limit) -> Result<()> {
        check_text("name", &limit.name)?;
        if limit.max_running.or(limit.rate).or(limit.weight).is_none() {
            return Err(Error::Invalid {
                field: "limit".to_owned(),
                message: "says neither max_running nor a rate, nor the weight of a share".to_owned(),
                hint: "`remove_limit` takes a limit away".to_owned(),
            });
        }
        // All that the scope has, so that what is not said goes; and what is said of another scope, for the server to refuse.
        let mut wished = HashMap::from([
            ("max_running", limit.max_running.map(u64::from)),
            ("rate", limit.rate.map(u64::from)),
            ("rate_period_ms", limit.rate_period_ms),
            ("rate_burst", limit.rate_burst.map(u64::from)),
            ("weight", limit.weight.map(u64::from)),
        ]);
        wished.retain(|field, value| value.is_some() || (*field == "weight") == (limit.scope == "share"));
        let sql = self.names().sql("SELECT howdah.set_limit($1, $2, $3)");
        let query = sqlx::query(sql).bind(limit.scope).bind(limit.name).bind(Json(wished));
        self.observe("set_limit", query.execute(self.pool())).await?;
        Ok(())
    }

    /// Takes a limit away; does nothing if there is none. The SQL function behind it is `howdah.set_limit`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn remove_limit(&self, limit: Limit) -> Result<()> {
        check_text("name", &limit.name)?;
        let sql = self.names().sql("SELECT howdah.set_limit($1, $2, NULL)");
        let query = sqlx::query(sql).bind(limit.scope).bind(limit.name);
        self.observe("set_limit", query.execute(self.pool())).await?;
        Ok(())
    }

    /// All limits that are set, by scope and name. The SQL view behind it is `howdah.limits`, which also says how much
    /// of each is in use.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn limits(&self) -> Result<Vec<Limit>> {
        let sql = self.names().sql("SELECT pg_catalog.to_jsonb(l) FROM howdah.limits l ORDER BY scope, name");
        let limits: Vec<Json<Limit>> = self.observe("limits", sqlx::query_scalar(sql).fetch_all(self.pool())).await?;
        Ok(limits.into_iter().map(|Json(limit)| limit).collect())
    }
}
