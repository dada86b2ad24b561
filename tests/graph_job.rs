//! The jobs of random graphs: each writes down when it starts and when it ends, and ends as it is told.
//!
//! Invariant: the order of the rows in `event` is the order in which things happened, over any number of processes. Limit: what is
//! killed in between has a start and no end.

use std::time::Duration;

use howdah::{Ctx, Job, JobError};
use serde::{Deserialize, Serialize};

/// What a node of a graph is made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// It completes.
    Complete,
    /// Its first attempt fails.
    FailOnce,
    /// It is dead at once, unless its graph is healed.
    Die,
    /// It ends as cancelled, unless its graph is healed.
    CancelItself,
    /// It is due much later, and the test cancels it.
    BeCancelled,
    /// It is due much later, and the test makes it due; then it completes.
    Wait,
}

/// A node of a graph.
#[derive(Debug, Job, Serialize, Deserialize)]
pub struct GraphJob {
    /// Which graph.
    pub graph: i32,
    /// Which node of it.
    pub node: i32,
    /// What it does.
    pub fate: Fate,
}

/// The tables that these jobs write to; a graph in `healed` is one in which nothing fails any more.
pub const GRAPH_TABLES: &str =
    "CREATE TABLE event (n bigserial, graph integer, node integer, healed boolean, is_end boolean);
    CREATE TABLE healed (graph integer)";

/// Does what a [`GraphJob`] is made to do.
///
/// # Errors
/// What the server says, and what the job is made to say.
pub async fn graph_job(job: GraphJob, cx: Ctx<()>) -> std::result::Result<(), JobError> {
    let note = |is_end: bool| {
        let sql = "INSERT INTO event (graph, node, is_end, healed)
                   SELECT $1, $2, $3, EXISTS (SELECT FROM healed h WHERE h.graph = $1) RETURNING healed";
        sqlx::query_scalar::<_, bool>(sql).bind(job.graph).bind(job.node).bind(is_end).fetch_one(cx.howdah().pool())
    };
    let healed = note(false).await?;
    if job.fate == Fate::FailOnce && cx.attempt() == 1 {
        return Err(JobError::retry_in(Duration::from_millis(1), "not this time"));
    }
    note(true).await?;
    match job.fate {
        Fate::Die if !healed => Err(JobError::discard("on purpose")),
        Fate::CancelItself if !healed => Err(JobError::cancel("on purpose")),
        _ => Ok(()),
    }
}
