//! What each fault does.
//!
//! Invariant: when a fault returns, it is over, but for what it has caused. Limit: one at a time, except for those that last.

use std::time::Duration;

use anyhow::{Context, Result};
use howdah_devdb::StopMode;
use nix::sys::signal::Signal;
use tokio::time::sleep;

use super::actor::LEASE;
use super::cast::{Cast, Kind};
use super::plan::{Fault, Step};
use super::stage::Stage;
use crate::history::Event;

/// How long the network is bad.
const BAD_WEATHER: Duration = Duration::from_millis(700);

/// Lets a fault happen.
pub(super) async fn befall(stage: &mut Stage, cast: &mut Cast, step: Step) -> Result<()> {
    stage.log.write(Event::Fault { what: step.to_string() });
    perform(stage, cast, step).await.with_context(|| step.to_string())
}

async fn perform(stage: &mut Stage, cast: &mut Cast, step: Step) -> Result<()> {
    let (proxy, which) = (&stage.proxy, step.which);
    match step.fault {
        Fault::KillWorker => kill(stage, cast, Kind::Worker, which),
        Fault::KillSqlWorker => kill(stage, cast, Kind::SqlWorker, which),
        Fault::KillProducer => kill(stage, cast, Kind::Producer, which),
        Fault::KillKeeper => match keeper(stage).await {
            Some(name) => cast.kill(stage, &name),
            None => Ok(()),
        },
        Fault::EndWorker => match cast.one(Kind::Worker, which) {
            Some(part) => part.signal(Signal::SIGTERM),
            None => Ok(()),
        },
        Fault::StopWorker => stop(cast.one(Kind::Worker, which).map(|part| part.name.clone()), cast, LEASE * 2).await,
        Fault::StopSqlWorker => {
            stop(cast.one(Kind::SqlWorker, which).map(|part| part.name.clone()), cast, LEASE * 2).await
        }
        Fault::StopKeeper => stop(keeper(stage).await, cast, LEASE * 2).await,
        Fault::StopProducer => {
            let name = cast.one(Kind::Producer, which).map(|part| part.name.clone());
            stop(name, cast, BAD_WEATHER).await
        }
        Fault::EndSessions => end_sessions(stage, which).await,
        Fault::Crash => stage.crash(StopMode::Immediate).await,
        Fault::KillServer => stage.crash(StopMode::Kill).await,
        Fault::Delay => {
            proxy.delay(Duration::from_millis(5 + 5 * u64::try_from(which)?));
            sleep(BAD_WEATHER).await;
            proxy.delay(Duration::ZERO);
            Ok(())
        }
        Fault::Stall => {
            proxy.stall(true);
            sleep(if which.is_multiple_of(4) { LEASE * 2 } else { BAD_WEATHER }).await;
            proxy.stall(false);
            Ok(())
        }
        Fault::Cut => {
            proxy.cut();
            Ok(())
        }
        Fault::LoseCommits => {
            proxy.lose_commits(1 + which % 3);
            Ok(())
        }
        Fault::LoseAnswers => {
            proxy.lose_answers(1 + which % 3);
            Ok(())
        }
        Fault::KillPooler => stage.kill_pooler(),
        Fault::LongTransaction => long_transaction(stage, which).await,
    }
}

fn kill(stage: &Stage, cast: &mut Cast, kind: Kind, which: usize) -> Result<()> {
    match cast.one(kind, which).map(|part| part.name.clone()) {
        Some(name) => cast.kill(stage, &name),
        None => Ok(()),
    }
}

/// Who does the chores, if anybody does.
async fn keeper(stage: &Stage) -> Option<String> {
    stage.db.text("SELECT (SELECT name FROM howdah.workers WHERE keeper)").await.ok().filter(|name| !name.is_empty())
}

async fn stop(name: Option<String>, cast: &Cast, span: Duration) -> Result<()> {
    let Some(part) = name.as_ref().and_then(|name| cast.named(name)) else { return Ok(()) };
    // It may have ended by itself.
    if part.signal(Signal::SIGSTOP).is_ok() {
        sleep(span).await;
        part.signal(Signal::SIGCONT)?;
    }
    Ok(())
}

async fn end_sessions(stage: &Stage, which: usize) -> Result<()> {
    let end = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid % 2 = {}",
        which % 2
    );
    // The pool's own may be among them.
    let _ = stage.db.run(&end).await;
    let mut in_a_row = 0;
    while in_a_row < 12 {
        in_a_row = if stage.db.run("SELECT 1").await.is_ok() { in_a_row + 1 } else { 0 };
    }
    Ok(())
}

/// Somebody's report, which has also locked a few waiting jobs.
async fn long_transaction(stage: &Stage, which: usize) -> Result<()> {
    let mut session = stage.db.session().await?;
    session.run("BEGIN; SELECT count(*) FROM howdah.job").await?;
    if which.is_multiple_of(2) {
        session.run("SELECT FROM howdah.ticket ORDER BY first_id LIMIT 3 FOR UPDATE SKIP LOCKED").await?;
        session.run("SELECT FROM howdah.deferred ORDER BY first_id LIMIT 3 FOR UPDATE SKIP LOCKED").await?;
    }
    sleep(BAD_WEATHER * 2).await;
    session.run("ROLLBACK").await
}
