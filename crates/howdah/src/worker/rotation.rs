//! The keeper's slow chore: `howdah.rotate`, which keeps everything from growing.
//!
//! On a connection and a task of its own: what is removed may be called about before (`before_removal`), and that
//! may take longer than a heartbeat or what is due can wait.
//!
//! Invariant: it runs only while this worker holds the office, and stops with it. Limit: two keepers that overlap for
//! a moment do each other no harm, since whatever one of them works on is locked to the other.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::link::Link;
use super::part;
use super::shared::Shared;
use crate::error::Result;

const EVERY: Duration = Duration::from_secs(10);
/// So much is done at a time, and then comes a pause.
const AT_A_TIME: usize = 8;
const PAUSE: Duration = Duration::from_millis(100);
/// How what a person should see begins.
const TROUBLE: &str = "could not ";

/// The chore while the office is held. Dropped, it stops.
pub(super) struct Rotation {
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Rotation {
    pub(super) fn start(shared: &Arc<Shared>) -> Self {
        let stop = CancellationToken::new();
        let link = Link::new(&shared.howdah, "rotation", &[]);
        let task = part::start(shared, "rotation", run(Arc::clone(shared), link, stop.clone()));
        Self { stop: stop.drop_guard(), task }
    }

    /// Stops it, and waits until its connection is closed.
    pub(super) async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

async fn run(shared: Arc<Shared>, mut link: Link, stop: CancellationToken) {
    let chore = async {
        loop {
            let wait = match rotate(&shared, &mut link).await {
                Ok(true) => PAUSE,
                Ok(false) => EVERY,
                Err(error) => {
                    link.failed(&error).await;
                    EVERY
                }
            };
            tokio::time::sleep(wait).await;
        }
    };
    tokio::select! {
        () = chore => {}
        () = stop.cancelled() => {}
    }
    link.close().await;
}

/// Whether there may be more to do.
async fn rotate(shared: &Shared, link: &mut Link) -> Result<bool> {
    for _ in 0..AT_A_TIME {
        let sql = shared.howdah.names().sql("SELECT howdah.rotate()");
        let (done,): (Option<String>,) = link.row(sqlx::query_as(sql)).await?;
        match done {
            None => return Ok(false),
            Some(trouble) if trouble.starts_with(TROUBLE) => tracing::warn!("{trouble}"),
            Some(done) => tracing::debug!("{done}"),
        }
    }
    Ok(true)
}
