//! What a handler is given of the jobs that its job has waited for.
//!
//! Invariant: asked of the database when it is called, of this job only. Limit: results are kept as long as history.

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use sqlx::types::Json;

use super::ctx::Ctx;
use crate::client::JobState;
use crate::error::{Error, Result};
use crate::hidden::debug_hiding;
use crate::job::JobId;

/// A job that this one has waited for.
#[derive(Clone)]
#[non_exhaustive]
pub struct EndedParent {
    /// What it is called in the workflow of this job; `None`: it is not in it.
    pub name: Option<String>,
    /// The job.
    pub job: JobId,
    /// How it ended; `None`: longer ago than history is kept. One that was sent again since may be in any state.
    pub state: Option<JobState>,
    /// What its handler returned, if that was anything.
    pub result: Option<Box<RawValue>>,
}

debug_hiding!(EndedParent { name, job, state } hides { result });

impl EndedParent {
    /// What its handler returned. Nothing reads as JSON null, so as `()` or `None`.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `parent` if it does not fit the type, without what was there.
    pub fn output<R: DeserializeOwned>(&self) -> Result<R> {
        let json = self.result.as_ref().map_or("null", |raw| raw.get());
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(json)).map_err(|e| {
            let (place, job) = (e.path().to_string(), self.job);
            let what = if self.result.is_some() { "what job" } else { "nothing is kept of what job" };
            Error::invalid(
                "parent",
                format!("{what} {job} returned does not fit the type that is asked for, at {place}"),
            )
        })
    }
}

impl<T> Ctx<T> {
    /// The jobs that this one has waited for, in the order in which they were named. The SQL function behind it is
    /// `howdah.parent_results`.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn parents(&self) -> Result<Vec<EndedParent>> {
        type Row = (Option<String>, i64, Option<String>, Option<Json<Box<RawValue>>>);
        let sql = "SELECT name, parent_id, state, result FROM howdah.parent_results($1)";
        let query = sqlx::query_as(self.howdah().names().sql(sql)).bind(self.id().0);
        let rows: Vec<Row> =
            self.howdah().observe_rows("parent_results", Vec::len, query.fetch_all(self.howdah().pool())).await?;
        rows.into_iter()
            .map(|(name, job, state, result)| {
                let state = state.map(|state| state.parse()).transpose()?;
                Ok(EndedParent { name, job: JobId(job), state, result: result.map(|Json(raw)| raw) })
            })
            .collect()
    }

    /// What the handler of a job returned that this one has waited for, by its name in the workflow.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the field `parent` if this job has waited for none of that name, or what it returned does not fit
    /// the type; [`Error::Database`].
    pub async fn parent<R: DeserializeOwned>(&self, name: &str) -> Result<R> {
        let parents = self.parents().await?;
        match parents.iter().find(|parent| parent.name.as_deref() == Some(name)) {
            Some(parent) => parent.output(),
            None => {
                Err(Error::invalid("parent", format!("job {} has waited for none that is called {name:?}", self.id())))
            }
        }
    }
}
