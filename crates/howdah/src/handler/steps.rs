//! Handlers made of named steps, whose results are kept: an attempt goes on after the last step that one before has done.
//!
//! Invariant: a step whose result is kept is not run again; what is kept is written by the attempt that holds the job, and
//! by no other (`howdah.keep_step` is fenced by the lease). What was kept by earlier attempts is read once, before the first
//! step. Limit: a step whose attempt dies after its work and before its result is kept runs again, unless it does both in
//! one transaction: [`Ctx::step_in_tx`].

use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use sqlx::types::Json;
use tokio::sync::OnceCell;

use super::Tx;
use super::ctx::{Call, Ctx};
use super::verdict::JobError;
use crate::client::has_nul;
use crate::error::{Error, Result};

const KEEP: &str = "SELECT howdah.keep_step($1, $2, $3, $4)";
const GET: &str = "SELECT name, kind, state, result FROM howdah.get_steps($1, $2)";

/// The steps of one job, as one attempt knows them.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    /// What earlier attempts have kept, once it was asked for.
    kept: OnceCell<HashMap<String, Kept>>,
    /// What this attempt has begun and not failed.
    used: Mutex<HashSet<String>>,
}

/// What an earlier attempt has kept.
#[derive(Debug)]
pub(super) struct Kept {
    kind: String,
    state: String,
    result: Option<Box<RawValue>>,
}

impl Kept {
    pub(super) fn is_waiting(&self) -> bool {
        self.state == "waiting"
    }

    pub(super) fn result(&self) -> Option<&RawValue> {
        self.result.as_deref()
    }
}

/// A step that is under way. If it is dropped before its end, its name may be used again.
pub(super) struct Using<'a> {
    steps: &'a Steps,
    name: &'a str,
    ended: bool,
}

impl Using<'_> {
    pub(super) fn end(mut self) {
        self.ended = true;
    }
}

impl Drop for Using<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.steps.used().remove(self.name);
        }
    }
}

impl Steps {
    fn used(&self) -> MutexGuard<'_, HashSet<String>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a name for this attempt.
    fn begin<'a>(&'a self, name: &'a str) -> Result<Using<'a>, JobError> {
        if self.used().insert(name.to_owned()) {
            return Ok(Using { steps: self, name, ended: false });
        }
        Err(wrong(format!(
            "the step {name:?} was used before in this attempt: each needs a name of its own, in a loop such as \
             format!(\"page {{n}}\")"
        )))
    }
}

impl Call {
    /// Whether there is no job in any database: a handler that is tested by itself.
    pub(super) fn is_alone(&self) -> bool {
        self.lease_id == 0
    }
}

/// A mistake in how steps are used, or something that cannot be kept.
pub(super) fn wrong(message: impl std::fmt::Display) -> JobError {
    JobError::retry(message).kind("step")
}

impl<T> Ctx<T> {
    /// Runs a step of the job: a piece of work whose result is kept, so that it is not done again by a later attempt. If
    /// an earlier one has kept the result under this name, it is returned, and the closure is not called.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Job, JobError, OrVerdict};
    /// # use std::time::Duration;
    /// # async fn reserve(order: i64) -> Result<String, std::io::Error> { Ok(order.to_string()) }
    /// # async fn charge(order: i64, room: &str) -> Result<u64, std::io::Error> { Ok(room.len() as u64) }
    ///
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Book { order: i64, pages: u32 }
    ///
    /// async fn book(job: Book, cx: Ctx<()>) -> Result<(), JobError> {
    ///     let room = cx.step("reserve", || reserve(job.order)).await?;
    ///     let cents = cx.step("charge", || async { charge(job.order, &room).await.or_retry_in(Duration::from_secs(60)) }).await?;
    ///     for n in 0..job.pages {
    ///         cx.step(format!("page {n}"), || async { std::fs::write(format!("/tmp/{n}"), format!("{cents}")) }).await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// The result goes through JSON the first time too, so that later attempts see the same; at most 256 KiB of it, and
    /// 10,000 steps and 64 MiB a job. A step that fails is not kept: its error is the attempt's, if it is passed on, and
    /// the next one runs it again. What ran is kept by retries, by rescues when a worker is lost, and by dead jobs, which
    /// go on after the last step when they are sent again; see [`Howdah::retry_from`](crate::Howdah::retry_from) to do
    /// some of them anew. When the job has ended well they are history: `howdah jobs show`, the view `howdah.steps`.
    ///
    /// A step runs at least once: if the worker dies between the work and the keeping of its result, it runs again. Give an
    /// outside service a key that is the same each time (the job's id and the step's name), or use
    /// [`step_in_tx`](Self::step_in_tx) for what is in this database.
    ///
    /// # Errors
    /// That of the closure, with its verdict. A failure of the kind `step` if the name was used before in this attempt, is
    /// not 1 to 128 bytes without control characters, or if a result cannot be kept, or no longer fits its type (named in
    /// the message). What the database says. The SQL functions behind it are `howdah.get_steps` and `howdah.keep_step`.
    pub async fn step<R, E, F, Fut>(&self, name: impl Into<String>, work: F) -> Result<R, JobError>
    where
        R: Serialize + DeserializeOwned,
        E: Into<JobError>,
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<R, E>>,
    {
        let name = name.into();
        let using = self.begin(&name)?;
        if let Some(kept) = self.kept(&name, "step").await? {
            using.end();
            return decode(&name, kept.result());
        }
        let json = encode(&name, &work().await.map_err(Into::into)?)?;
        let result = decode(&name, Some(&json))?;
        if !self.call().is_alone() {
            let mut connection = self.howdah().pool().acquire().await?;
            self.keep(&mut connection, &name, json).await?;
        }
        using.end();
        Ok(result)
    }

    /// A step whose writes to this database happen exactly once: the closure works in a transaction (of the application's
    /// pool), in which its result is kept too. Both commit or none. If it fails, or is dropped, all is rolled back.
    ///
    /// ```no_run
    /// use howdah::{Ctx, Job, JobError};
    ///
    /// #[derive(Job, serde::Serialize, serde::Deserialize)]
    /// struct Pay { order: i64 }
    ///
    /// async fn pay(job: Pay, cx: Ctx<()>) -> Result<(), JobError> {
    ///     let balance: i64 = cx
    ///         .step_in_tx("withdraw", |mut tx| async move {
    ///             let sql = "UPDATE account SET cents = cents - 100 WHERE id = $1 RETURNING cents";
    ///             sqlx::query_scalar(sql).bind(job.order).fetch_one(&mut *tx).await
    ///         })
    ///         .await?;
    ///     println!("{balance}");
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`step`](Self::step); and if the transaction is still in use when the closure has returned.
    pub async fn step_in_tx<R, E, F, Fut>(&self, name: impl Into<String>, work: F) -> Result<R, JobError>
    where
        R: Serialize + DeserializeOwned,
        E: Into<JobError>,
        F: FnOnce(Tx) -> Fut,
        Fut: Future<Output = Result<R, E>>,
    {
        let name = name.into();
        let using = self.begin(&name)?;
        if let Some(kept) = self.kept(&name, "step").await? {
            using.end();
            return decode(&name, kept.result());
        }
        let transaction = Arc::new(tokio::sync::Mutex::new(self.howdah().pool().begin().await?));
        let done = work(Tx::new(Arc::clone(&transaction).lock_owned().await)).await.map_err(Into::into);
        let Some(mut tx) = Arc::into_inner(transaction).map(tokio::sync::Mutex::into_inner) else {
            return Err(wrong(format!("the step {name:?} returned while its transaction was still in use elsewhere")));
        };
        let json = encode(&name, &done?)?;
        let result = decode(&name, Some(&json))?;
        if !self.call().is_alone() {
            self.keep(&mut tx, &name, json).await?;
        }
        tx.commit().await?;
        using.end();
        Ok(result)
    }

    /// Keeps the result of a step inside the handler's own transaction: it is kept if and only if that commits, together
    /// with the work that it stands for. Ask [`kept_step`](Self::kept_step) before whether it was done already.
    ///
    /// # Errors
    /// [`Error::Invalid`] if a step of this name is kept already, or cannot be; [`Error::LeaseLost`] if the job is not
    /// this attempt's any more; [`Error::Database`]. Roll back if there is one. The SQL function behind it is
    /// `howdah.keep_step`.
    pub async fn step_in(
        &self,
        transaction: &mut PgConnection,
        name: &str,
        result: &(impl Serialize + ?Sized),
    ) -> Result<()> {
        let json = encode(name, result).map_err(|e| Error::invalid("result", e.message))?;
        self.keep(transaction, name, json).await
    }

    /// What earlier attempts have kept of a step; `None`: it is not done. What this attempt has kept is not looked at.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub async fn kept_step<R: DeserializeOwned>(&self, name: &str) -> Result<Option<R>, JobError> {
        self.kept(name, "step").await?.map(|kept| decode(name, kept.result())).transpose()
    }

    pub(super) fn begin<'a>(&'a self, name: &'a str) -> Result<Using<'a>, JobError> {
        self.call().steps.begin(name)
    }

    /// What earlier attempts have kept under a name, which must be of this kind.
    pub(super) async fn kept(&self, name: &str, kind: &str) -> Result<Option<&Kept>, JobError> {
        let call = self.call();
        let all = call.steps.kept.get_or_try_init(|| async {
            if call.is_alone() {
                return Ok(HashMap::new());
            }
            let query = sqlx::query_as::<_, (String, String, String, Option<Json<Box<RawValue>>>)>(
                call.howdah.names().sql(GET),
            );
            let query = query.bind(call.id.0).bind(call.lease_id);
            let rows = call.howdah.observe_rows("get_steps", Vec::len, query.fetch_all(call.howdah.pool())).await;
            let rows = rows.map_err(|error| self.or_lost(error))?;
            let kept = |result: Option<Json<Box<RawValue>>>| result.map(|Json(result)| result);
            Ok::<_, Error>(
                rows.into_iter()
                    .map(|(name, kind, state, result)| (name, Kept { kind, state, result: kept(result) }))
                    .collect(),
            )
        });
        match all.await?.get(name) {
            Some(kept) if kept.kind != kind => {
                let was = &kept.kind;
                Err(wrong(format!("{name:?} is a {was} of this job, which an earlier attempt has kept, and no {kind}")))
            }
            found => Ok(found),
        }
    }

    async fn keep(&self, connection: &mut PgConnection, name: &str, json: Box<RawValue>) -> Result<()> {
        let call = self.call();
        let query =
            sqlx::query(call.howdah.names().sql(KEEP)).bind(call.lease_id).bind(call.id.0).bind(name).bind(Json(json));
        let told = call.howdah.observe("keep_step", query.execute(connection)).await;
        told.map(|_| ()).map_err(|error| self.or_lost(error))
    }
}

fn encode(name: &str, value: &(impl Serialize + ?Sized)) -> Result<Box<RawValue>, JobError> {
    let json = serde_json::value::to_raw_value(value)
        .map_err(|e| wrong(format!("the result of the step {name:?} cannot be written as JSON: {e}")))?;
    if has_nul(json.get()) {
        return Err(wrong(format!(
            "the result of the step {name:?} has the character NUL (\\u0000) in a string, which PostgreSQL cannot store as JSON"
        )));
    }
    Ok(json)
}

/// The error names the step and the field that does not fit, and not what was there.
pub(super) fn decode<R: DeserializeOwned>(name: &str, json: Option<&RawValue>) -> Result<R, JobError> {
    let text = json.map_or("null", RawValue::get);
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(text)).map_err(|e| {
        let place = e.path().to_string();
        wrong(format!(
            "what is kept of the step {name:?} does not fit the type that is asked for, at {place}: to do the step anew, forget \
             it with `howdah jobs retry --from-step`"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_free_again_if_its_step_did_not_end() {
        let steps = Steps::default();
        drop(steps.begin("a").unwrap());
        steps.begin("a").unwrap().end();
        let error = steps.begin("a").map(|_| ()).unwrap_err();
        assert_eq!(error.kind, "step");
        assert!(
            error.message.contains("\"a\"") && error.message.contains("format!(\"page {n}\")"),
            "{}",
            error.message
        );
    }

    #[test]
    fn what_does_not_fit_names_the_step_and_the_field_and_not_the_value() {
        #[derive(serde::Deserialize)]
        struct Receipt {
            #[allow(dead_code)]
            cents: u32,
        }
        let json = RawValue::from_string(r#"{"cents": "secret"}"#.to_owned()).unwrap();
        let error = decode::<Receipt>("charge", Some(&json)).map(|_| ()).unwrap_err();
        assert!(error.message.contains("\"charge\"") && error.message.contains("at cents"), "{}", error.message);
        assert!(!error.message.contains("secret"), "{}", error.message);
        assert!(decode::<()>("charge", None).is_ok());
    }
}
