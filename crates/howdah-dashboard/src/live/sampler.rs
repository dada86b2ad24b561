//! One look at the queues for all who watch.
//!
//! Invariant: two looks are at least a second apart, and as far as the one before took; a look that fails leaves the last value,
//! which says how old it is. Limit: there is one look for everybody, at what everybody may see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use howdah_admin::Admin;
use tokio::sync::watch;

use super::flow::Flow;

use crate::app::PATIENCE;
use crate::error::Failure;
use crate::read;
use crate::read::depths::Depth;
use crate::read::workers::Worker;

/// So far are looks apart.
const PERIOD: Duration = Duration::from_secs(1);
/// So many things of a sort are watched at most; more of them are not seen to change.
const MOST: usize = 200;

/// What a page is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    Job(i64),
    Workflow(i64),
    Operation(i64),
}

/// What was seen.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) queues: Vec<Depth>,
    pub(crate) workers: Vec<Worker>,
    pub(crate) flow: Arc<Flow>,
    /// Of each thing that is watched: something that changes when it does.
    pub(crate) marks: BTreeMap<Subject, String>,
    /// When it was seen.
    pub(crate) at: SystemTime,
    /// Why it is not newer.
    pub(crate) late: Option<String>,
    /// When a look last began, and when the last one that succeeded was over.
    tried: Instant,
    seen: Instant,
}

/// Looks for all who watch. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Sampler(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    admin: Admin,
    seen: watch::Sender<Option<Arc<Sample>>>,
    /// Held by who looks, so that others wait for the same look; why there was nothing to be seen the last time.
    looking: tokio::sync::Mutex<Option<(Instant, Failure)>>,
    watchers: Mutex<Watchers>,
}

#[derive(Debug, Default)]
struct Watchers {
    is_running: bool,
    /// How many watch each thing.
    subjects: BTreeMap<Subject, usize>,
}

/// Somebody who watches, until it is dropped.
#[derive(Debug)]
pub(crate) struct Watching {
    shared: Arc<Shared>,
    seen: watch::Receiver<Option<Arc<Sample>>>,
    subject: Option<Subject>,
}

impl Sampler {
    pub(crate) fn new(admin: Admin) -> Self {
        let (seen, _) = watch::channel(None);
        let shared = Shared { admin, seen, looking: tokio::sync::Mutex::default(), watchers: Mutex::default() };
        Self(Arc::new(shared))
    }

    /// What was seen within the last second, or is seen now.
    pub(crate) async fn now(&self) -> Result<Arc<Sample>, Failure> {
        self.0.now().await
    }

    /// When the last look was over.
    pub(crate) fn seen(&self) -> Option<Instant> {
        self.0.seen.borrow().as_ref().map(|sample| sample.seen)
    }

    /// Watches from now on, and this thing too. The first who does sets the looking going.
    pub(crate) fn watch(&self, subject: Option<Subject>) -> Watching {
        let mut watchers = self.0.watchers();
        let seen = self.0.seen.subscribe();
        if let Some(subject) = subject {
            *watchers.subjects.entry(subject).or_default() += 1;
        }
        if !std::mem::replace(&mut watchers.is_running, true) {
            tokio::spawn(run(self.0.clone()));
        }
        Watching { shared: self.0.clone(), seen, subject }
    }
}

/// Looks as long as somebody watches.
async fn run(shared: Arc<Shared>) {
    loop {
        {
            let mut watchers = shared.watchers();
            if shared.seen.receiver_count() == 0 {
                watchers.is_running = false;
                return;
            }
        }
        let start = Instant::now();
        // What goes wrong is in the sample, for all who watch.
        let _ = shared.now().await;
        tokio::time::sleep(PERIOD.max(start.elapsed())).await;
    }
}

impl Watching {
    /// What is seen next; the last value at once, if there is one that this watcher has not had.
    pub(crate) async fn next(&mut self) -> Option<Arc<Sample>> {
        loop {
            self.seen.changed().await.ok()?;
            if let Some(sample) = self.seen.borrow_and_update().clone() {
                return Some(sample);
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let Some(subject) = self.subject else { return };
        let mut watchers = self.shared.watchers();
        if let Some(count) = watchers.subjects.get_mut(&subject) {
            *count -= 1;
            if *count == 0 {
                watchers.subjects.remove(&subject);
            }
        }
    }
}

impl Shared {
    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn now(&self) -> Result<Arc<Sample>, Failure> {
        let mut looking = self.looking.lock().await;
        let is_new = |tried: &Instant| tried.elapsed() < PERIOD * 9 / 10;
        let last = self.seen.borrow().clone();
        match (&last, &*looking) {
            (Some(last), _) if is_new(&last.tried) => return Ok(last.clone()),
            (None, Some((tried, failure))) if is_new(tried) => return Err(failure.clone()),
            _ => {}
        }
        let tried = Instant::now();
        let looked = tokio::time::timeout(PATIENCE + PERIOD, self.look(tried)).await;
        let sample = match (looked.unwrap_or_else(|_| Err(Failure::took_longer_than(PATIENCE))), last) {
            (Ok(sample), _) => sample,
            (Err(failure), Some(last)) => Sample { late: Some(failure.text()), tried, ..Sample::clone(&last) },
            (Err(failure), None) => {
                *looking = Some((Instant::now(), failure.clone()));
                return Err(failure);
            }
        };
        let sample = Arc::new(sample);
        self.seen.send_replace(Some(sample.clone()));
        Ok(sample)
    }

    async fn look(&self, tried: Instant) -> Result<Sample, Failure> {
        let subjects: Vec<Subject> = self.watchers().subjects.keys().copied().collect();
        let mut tx = self.admin.question().await?;
        let queues = read::depths::depths(&self.admin, &mut tx, None).await?;
        let workers = read::workers::workers(&self.admin, &mut tx).await?;
        let mut marks = BTreeMap::new();
        let last = self.seen.borrow().as_ref().map(|sample| sample.flow.clone());
        for sort in SORTS {
            let ids: Vec<i64> = subjects.iter().filter_map(|subject| (sort.id)(*subject)).take(MOST).collect();
            if ids.is_empty() {
                continue;
            }
            let query = sqlx::query_as(read::sql(self.admin.howdah(), sort.marks)).bind(ids);
            let rows: Vec<(i64, String)> = query.fetch_all(&mut *tx).await?;
            marks.extend(rows.into_iter().map(|(id, mark)| ((sort.subject)(id), mark)));
        }
        drop(tx);
        let flow = match last {
            Some(flow) if flow.is_new() => flow,
            last => Box::pin(Flow::look(&self.admin, queues.len(), last)).await,
        };
        Ok(Sample { queues, workers, flow, marks, at: SystemTime::now(), late: None, tried, seen: Instant::now() })
    }
}

/// How things of a sort are looked at, all of them at once.
struct Sort {
    /// Its number, if it is of this sort.
    id: fn(Subject) -> Option<i64>,
    subject: fn(i64) -> Subject,
    marks: &'static str,
}

const SORTS: [Sort; 3] = [
    Sort {
        id: |subject| if let Subject::Job(id) = subject { Some(id) } else { None },
        subject: Subject::Job,
        marks: "SELECT j.id, pg_catalog.concat_ws(' ', j.state, j.attempt, p.at)
  FROM howdah.jobs j LEFT JOIN LATERAL howdah.get_progress(j.id) p ON true WHERE j.id OPERATOR(pg_catalog.=) ANY ($1)",
    },
    Sort {
        id: |subject| if let Subject::Workflow(id) = subject { Some(id) } else { None },
        subject: Subject::Workflow,
        marks: "SELECT w.id, pg_catalog.concat_ws(' ', w.jobs, w.blocked, w.scheduled, w.ready, w.running, w.completed, w.cancelled, w.expired, w.dead)
  FROM howdah.workflows w WHERE w.id OPERATOR(pg_catalog.=) ANY ($1)",
    },
    Sort {
        id: |subject| if let Subject::Operation(id) = subject { Some(id) } else { None },
        subject: Subject::Operation,
        marks: "SELECT o.id, pg_catalog.concat_ws(' ', o.state, o.looked, o.changed)
  FROM howdah.operation o WHERE o.id OPERATOR(pg_catalog.=) ANY ($1)",
    },
];
