//! Schedules, from outside: set, look at, pause, run, delete.
//!
//! Invariant: every call is one documented SQL function or view; only the next runs are worked out here, since
//! PostgreSQL cannot read cron expressions. Limit: schedules are fired by workers, so at least one must run.

use std::time::SystemTime;

use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::PgRow;
use sqlx::types::Json;
use sqlx::{FromRow, PgConnection, Row};

use super::{Enqueued, Howdah, check_text};
use crate::cron::{Missed, Schedule, Timing};
use crate::error::{Error, Result};
use crate::hidden::debug_hiding;
use crate::job::JobId;
use crate::sqltime::Micros;

/// A schedule as it is in the database: a row of `howdah.schedules`.
#[derive(Clone)]
#[non_exhaustive]
pub struct ScheduleInfo {
    /// Its name.
    pub name: String,
    /// Its cron expression.
    pub expression: String,
    /// The time zone in which the expression is read.
    pub timezone: String,
    /// When it fires next; `None` while it is paused, for the moment until the keeper has worked it out, and if
    /// something is wrong with the expression.
    pub next_at: Option<SystemTime>,
    /// The slot that it fired last.
    pub last_at: Option<SystemTime>,
    /// The job of that slot.
    pub last_job: Option<JobId>,
    /// What has become of that job: `completed`, `dead`, ...; `None` if it ended longer ago than history is kept.
    pub last_state: Option<String>,
    /// Since when it is paused.
    pub paused_at: Option<SystemTime>,
    /// Who paused it.
    pub paused_by: Option<String>,
    /// Why.
    pub pause_reason: Option<String>,
    /// Why it could not be fired or worked out, until it can. It is tried again each half a minute or sooner.
    pub error: Option<String>,
    /// When that was.
    pub error_at: Option<SystemTime>,
    /// The queue of its jobs.
    pub queue: String,
    /// The kind of its jobs.
    pub kind: String,
    /// The payload of its jobs, JSON as PostgreSQL holds it.
    pub payload: Box<RawValue>,
    /// The priority of its jobs.
    pub priority: u8,
    /// How often its jobs are tried; `None`: as the queue says.
    pub max_attempts: Option<u16>,
    /// The options of its jobs.
    pub options: Option<Value>,
    /// See [`Schedule::unique`].
    pub unique_key: Option<String>,
    /// What becomes of missed slots.
    pub missed: Missed,
}

debug_hiding!(ScheduleInfo { name, expression, timezone, next_at, last_at, last_job, last_state, paused_at, paused_by, pause_reason, error, error_at, queue, kind, priority, max_attempts, options, unique_key, missed } hides { payload });

/// A slot that a schedule has fired: a row of `howdah.firings`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Firing {
    /// The slot: when it was due.
    pub due_at: SystemTime,
    /// When the job was enqueued.
    pub fired_at: SystemTime,
    /// `due`, `missed` (too late, by the schedule's policy) or `by hand`.
    pub how: String,
    /// The job.
    pub job: JobId,
    /// The job had the schedule's unique key and has not ended: none was enqueued.
    pub hit: bool,
    /// What has become of the job; `None` if it ended longer ago than history is kept.
    pub state: Option<String>,
}

/// Of one schedule, or of all.
const SCHEDULES: &str =
    "SELECT name, expression, timezone, next_at, last_at, last_job, last_state, paused_at, paused_by, pause_reason,
    error, error_at, queue, kind, payload, priority, max_attempts, options, unique_key, missed
  FROM howdah.schedules WHERE name OPERATOR(pg_catalog.=) coalesce($1::pg_catalog.text, name) ORDER BY name";

const FIRINGS: &str = "SELECT due_at, fired_at, how, job_id, hit, state FROM howdah.firings
  WHERE schedule OPERATOR(pg_catalog.=) $1 ORDER BY fired_at DESC, due_at DESC LIMIT $2";

impl Howdah {
    /// Makes a schedule, or changes one of this name to all that is said here; what is not said goes to its default. A
    /// change of the expression or the zone holds from now on. A pause stays. The SQL function behind it is
    /// `howdah.set_schedule`, which can also change single settings.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming the field; [`Error::UnknownQueue`], unless the job's type declares the queue.
    pub async fn set_schedule(&self, schedule: &Schedule) -> Result<()> {
        schedule.check()?;
        self.refuse_secrets_in(schedule)?;
        match self.send_schedule(schedule).await {
            sent if self.queue_of_went(schedule, &sent) => self.send_schedule(schedule).await,
            sent => sent,
        }
    }

    async fn send_schedule(&self, schedule: &Schedule) -> Result<()> {
        let mut connection = self.pool().acquire().await?;
        self.make_queue_of(schedule, &mut connection).await?;
        let query = sqlx::query(self.names().sql("SELECT howdah.set_schedule($1, $2)"));
        let query = query.bind(schedule.name()).bind(Json(schedule.settings()?));
        self.observe("set_schedule", query.execute(&mut *connection)).await?;
        Ok(())
    }

    /// Whether the declared queue is there no more, and the next use would create it.
    fn queue_of_went<T>(&self, schedule: &Schedule, sent: &Result<T>) -> bool {
        matches!(sent, Err(Error::UnknownQueue { .. }))
            && schedule.declared_queue().is_some_and(|queue| self.queues.forget(queue))
    }

    /// What a worker does with the schedules that it was given. Returns whether that was something new.
    pub(crate) async fn declare_schedule(&self, schedule: &Schedule, connection: &mut PgConnection) -> Result<bool> {
        self.refuse_secrets_in(schedule)?;
        self.make_queue_of(schedule, connection).await?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.declare_schedule($1, $2, $3)"));
        let query = query.bind(schedule.name()).bind(Json(schedule.settings()?)).bind(schedule.revision_in_sql());
        let declared = self.observe("declare_schedule", query.fetch_one(connection)).await;
        self.queue_of_went(schedule, &declared);
        declared
    }

    /// A declaration must read the same each time it is made, and what is encrypted never does.
    fn refuse_secrets_in(&self, schedule: &Schedule) -> Result<()> {
        if schedule.has_payload() {
            let why =
                "of a schedule cannot be encrypted: let its job have none, and look for what it needs when it runs";
            self.keys().refuse("payload", why)?;
        }
        Ok(())
    }

    /// The queue that a job declares is created by its first use, and this is one.
    async fn make_queue_of(&self, schedule: &Schedule, connection: &mut PgConnection) -> Result<()> {
        match schedule.declared_queue() {
            Some(queue) => self.ensure_queue(connection, queue).await,
            None => Ok(()),
        }
    }

    /// Every schedule, by name. The view behind it is `howdah.schedules`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn schedules(&self) -> Result<Vec<ScheduleInfo>> {
        let query = sqlx::query_as(self.names().sql(SCHEDULES)).bind(None::<&str>);
        self.observe_rows("schedules", Vec::len, query.fetch_all(self.pool())).await
    }

    /// One schedule; `None` if there is none of this name.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn schedule(&self, name: &str) -> Result<Option<ScheduleInfo>> {
        check_text("schedule", name)?;
        let query = sqlx::query_as(self.names().sql(SCHEDULES)).bind(Some(name));
        self.observe("schedules", query.fetch_optional(self.pool())).await
    }

    /// What a schedule has fired, the newest first; about the last thousand are kept. The view behind it is
    /// `howdah.firings`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn firings(&self, schedule: &str, most: u32) -> Result<Vec<Firing>> {
        check_text("schedule", schedule)?;
        let query = sqlx::query_as(self.names().sql(FIRINGS)).bind(schedule).bind(i64::from(most));
        self.observe_rows("firings", Vec::len, query.fetch_all(self.pool())).await
    }

    /// When a schedule fires next, at most a thousand times; if it is paused, when it would. Worked out here, with this
    /// machine's rules of time zones, and the server's clock.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `schedule` if there is none of this name, or what is wrong with it.
    pub async fn next_runs(&self, schedule: &str, most: usize) -> Result<Vec<SystemTime>> {
        check_text("schedule", schedule)?;
        let sql = "SELECT expression, timezone, every_from, after_at, howdah.now(), paused_at IS NOT NULL
                     FROM howdah.schedule WHERE name OPERATOR(pg_catalog.=) $1";
        let query = sqlx::query_as(self.names().sql(sql)).bind(schedule);
        let row: Option<(String, String, Micros, Micros, Micros, bool)> =
            self.observe("schedules", query.fetch_optional(self.pool())).await?;
        let Some((expression, timezone, every_from, after, now, paused)) = row else {
            return Err(Error::invalid("schedule", format!("there is none named {schedule:?}")));
        };
        let timing = Timing::read(&expression, &timezone, every_from.0)?;
        // What is due and not fired yet is still to come.
        let after = if paused { now.0 } else { after.0.max(now.0.saturating_sub(1_000_000)) };
        Ok(timing.upcoming(after, most.min(1000)).into_iter().map(|slot| Micros(slot).time()).collect())
    }

    /// Fires nothing until [`resume_schedule`](Self::resume_schedule), over restarts and whatever programs declare. Slots
    /// that pass meanwhile are left out. Returns whether it was running before. The SQL function behind it is
    /// `howdah.pause_schedule`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `schedule` if there is none of this name.
    pub async fn pause_schedule(&self, schedule: &str, by: Option<&str>, reason: Option<&str>) -> Result<bool> {
        for (field, text) in [("schedule", Some(schedule)), ("by", by), ("reason", reason)] {
            check_text(field, text.unwrap_or_default())?;
        }
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.pause_schedule($1, $2, $3)"));
        self.observe("pause_schedule", query.bind(schedule).bind(by).bind(reason).fetch_one(self.pool())).await
    }

    /// Lets a paused schedule go on with its next slot. Returns whether it was paused. The SQL function behind it is
    /// `howdah.resume_schedule`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `schedule` if there is none of this name.
    pub async fn resume_schedule(&self, schedule: &str) -> Result<bool> {
        check_text("schedule", schedule)?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.resume_schedule($1)"));
        self.observe("resume_schedule", query.bind(schedule).fetch_one(self.pool())).await
    }

    /// Enqueues the job of a schedule now, also of one that is paused, and changes nothing about when it is due. The SQL
    /// function behind it is `howdah.run_schedule`.
    ///
    /// # Errors
    /// [`Error::Invalid`], naming `schedule` if there is none of this name; [`Error::QueueFull`].
    pub async fn run_schedule(&self, schedule: &str) -> Result<Enqueued> {
        check_text("schedule", schedule)?;
        let query = sqlx::query_as(self.names().sql("SELECT job_id, hit FROM howdah.run_schedule($1)"));
        let (id, hit): (i64, bool) = self.observe("run_schedule", query.bind(schedule).fetch_one(self.pool())).await?;
        Ok(Enqueued { id: JobId(id), hit })
    }

    /// Deletes a schedule and the history of its firings; its jobs stay. Returns whether there was one. A worker that
    /// declares it makes it again when it starts: to stop it for good, pause it. The SQL function behind it is
    /// `howdah.delete_schedule`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn delete_schedule(&self, schedule: &str) -> Result<bool> {
        check_text("schedule", schedule)?;
        let query = sqlx::query_scalar(self.names().sql("SELECT howdah.delete_schedule($1)"));
        self.observe("delete_schedule", query.bind(schedule).fetch_one(self.pool())).await
    }
}

impl<'r> FromRow<'r, PgRow> for ScheduleInfo {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        let time = |column| Ok::<_, sqlx::Error>(row.try_get::<Option<Micros>, _>(column)?.map(Micros::time));
        let missed: String = row.try_get("missed")?;
        Ok(Self {
            name: row.try_get("name")?,
            expression: row.try_get("expression")?,
            timezone: row.try_get("timezone")?,
            next_at: time("next_at")?,
            last_at: time("last_at")?,
            last_job: row.try_get::<Option<i64>, _>("last_job")?.map(JobId),
            last_state: row.try_get("last_state")?,
            paused_at: time("paused_at")?,
            paused_by: row.try_get("paused_by")?,
            pause_reason: row.try_get("pause_reason")?,
            error: row.try_get("error")?,
            error_at: time("error_at")?,
            queue: row.try_get("queue")?,
            kind: row.try_get("kind")?,
            payload: row.try_get::<Json<Box<RawValue>>, _>("payload")?.0,
            priority: row.try_get::<i16, _>("priority")?.try_into().unwrap_or_default(),
            max_attempts: row.try_get::<Option<i16>, _>("max_attempts")?.map(i16::unsigned_abs),
            options: row.try_get::<Option<Json<Value>>, _>("options")?.map(|Json(options)| options),
            unique_key: row.try_get("unique_key")?,
            missed: match missed.as_str() {
                "one" => Missed::One,
                "all" => Missed::All,
                _ => Missed::Skip,
            },
        })
    }
}

impl<'r> FromRow<'r, PgRow> for Firing {
    fn from_row(row: &'r PgRow) -> sqlx::Result<Self> {
        Ok(Self {
            due_at: row.try_get::<Micros, _>("due_at")?.time(),
            fired_at: row.try_get::<Micros, _>("fired_at")?.time(),
            how: row.try_get("how")?,
            job: JobId(row.try_get("job_id")?),
            hit: row.try_get("hit")?,
            state: row.try_get("state")?,
        })
    }
}
