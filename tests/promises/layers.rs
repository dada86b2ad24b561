//! Layers see every attempt on its way in and out, and what they fail has failed.
#![allow(clippy::unwrap_used)]

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Result;
use howdah::layer::{JobCall, JobOutcome, JobService};
use howdah::{Ctx, Job, JobError, Worker};
use howdah_tests::{Db, start};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tower::Service;
use tower::filter::AsyncFilterLayer;
use tower::layer::layer_fn;

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Does {
    what: String,
}

type Log = Arc<Mutex<Vec<String>>>;

async fn does(job: Does, cx: Ctx<Log>) -> Result<(), JobError> {
    cx.lock().unwrap().push(format!("handler {}", job.what));
    match job.what.as_str() {
        "fail" => Err(JobError::discard("on purpose").kind("mine")),
        "panic" => panic!("a panic on purpose"),
        "hang" => std::future::pending().await,
        _ => Ok(()),
    }
}

/// Writes down what goes in and out.
#[derive(Clone)]
struct Watch {
    name: &'static str,
    log: Log,
    inside: JobService,
}

impl Service<JobCall> for Watch {
    type Response = JobOutcome;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<JobOutcome, Infallible>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inside.poll_ready(cx)
    }

    fn call(&mut self, call: JobCall) -> Self::Future {
        let (name, log) = (self.name, Arc::clone(&self.log));
        log.lock().unwrap().push(format!("{name} in: {} {}", call.kind(), call.cx().attempt()));
        let work = self.inside.call(call);
        Box::pin(async move {
            let outcome = work.await?;
            let line = match outcome.error() {
                None => format!("{name} out: {}", outcome.is_ok()),
                Some(e) => format!("{name} out: {:?} {:?} {e}", outcome.verdict(), outcome.error_kind()),
            };
            log.lock().unwrap().push(line);
            Ok(outcome)
        })
    }
}

fn watch(name: &'static str, log: &Log) -> impl tower::Layer<JobService, Service = Watch> + use<> {
    let log = Arc::clone(log);
    layer_fn(move |inside| Watch { name, log: Arc::clone(&log), inside })
}

/// Runs one job in such a worker to its end; returns what was written down, and the failure if there was one.
async fn end_of(what: &str, build: impl FnOnce(Worker<Log>, &Log) -> Worker<Log>) -> Result<(Vec<String>, String)> {
    let db = Db::new().await?;
    let log = Log::default();
    db.howdah.enqueue(Does { what: what.to_owned() }).await?;
    let worker = build(Worker::new(&db.howdah).state(Arc::clone(&log)).handle(does), &log);
    let worker = start(worker);
    db.wait_for("SELECT state IN ('completed', 'dead') FROM howdah.jobs", "true").await?;
    worker.stop().await?;
    let failure = db.text("SELECT string_agg(error_kind || ': ' || message, '; ') FROM howdah.failures").await?;
    let lines = log.lock().unwrap().clone();
    Ok((lines, failure))
}

#[tokio::test]
async fn the_first_layer_is_the_outermost() -> Result<()> {
    let (lines, failure) = end_of("work", |worker, log| worker.layer(watch("a", log)).layer(watch("b", log))).await?;
    assert_eq!(lines, ["a in: does 1", "b in: does 1", "handler work", "b out: true", "a out: true"]);
    assert_eq!(failure, "");
    Ok(())
}

#[tokio::test]
async fn a_layer_sees_how_an_attempt_failed() -> Result<()> {
    let (lines, failure) = end_of("fail", |worker, log| worker.layer(watch("a", log))).await?;
    assert_eq!(lines[2], "a out: Some(\"discard\") Some(\"mine\") on purpose");
    assert_eq!(failure, "mine: on purpose");
    let (lines, failure) = end_of("panic", |worker, log| worker.layer(watch("a", log))).await?;
    assert_eq!(lines[2], "a out: Some(\"retry\") Some(\"panic\") a panic on purpose");
    assert_eq!(failure, "panic: a panic on purpose");
    Ok(())
}

#[derive(Debug, thiserror::Error)]
#[error("the door is closed")]
struct Closed(#[source] std::fmt::Error);

#[tokio::test]
async fn an_error_of_a_layer_is_a_failed_attempt_for_those_outside_of_it() -> Result<()> {
    let (lines, failure) = end_of("work", |worker, log| {
        let closed = AsyncFilterLayer::new(|_: JobCall| async { Err::<JobCall, _>(Closed(std::fmt::Error)) });
        worker.layer(watch("a", log)).layer(closed).layer(watch("b", log))
    })
    .await?;
    let text = "the door is closed: an error occurred when formatting an argument";
    // tower's filter boxes the error that it is given, so that its type's name is not known.
    assert_eq!(lines, ["a in: does 1".to_owned(), format!("a out: Some(\"retry\") Some(\"layer\") {text}")]);
    assert_eq!(failure, format!("layer: {text}"));
    let (_, failure) = end_of("work", |worker, _| {
        worker.layer(layer_fn(|_: JobService| {
            tower::service_fn(|_: JobCall| async { Err::<JobOutcome, _>(Closed(std::fmt::Error)) })
        }))
    })
    .await?;
    assert_eq!(failure, format!("Closed: {text}"));
    Ok(())
}

#[tokio::test]
async fn a_layer_that_panics_is_a_failed_attempt_and_the_worker_goes_on() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue(Does { what: "one".to_owned() }).await?;
    db.howdah.enqueue(Does { what: "two".to_owned() }).await?;
    let worker = Worker::new(&db.howdah).state(Log::default()).handle(does).layer(layer_fn(|_: JobService| {
        tower::service_fn(|_: JobCall| -> std::future::Ready<Result<JobOutcome, Infallible>> { panic!("in a layer") })
    }));
    let worker = start(worker);
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'dead'", "2").await?;
    worker.stop().await?;
    assert_eq!(db.text("SELECT min(error_kind || ': ' || message) FROM howdah.failures").await?, "panic: in a layer");
    Ok(())
}

#[tokio::test]
async fn layers_of_tower_fit() -> Result<()> {
    let limit = Duration::from_millis(20);
    let (lines, failure) = end_of("hang", |worker, log| {
        worker.layer(watch("a", log)).layer(tower::timeout::TimeoutLayer::new(limit)).layer(watch("b", log))
    })
    .await?;
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(failure, "layer: request timed out");
    Ok(())
}

#[derive(Job, Serialize, Deserialize)]
struct Counted {}

/// How many run, and how many ran at most.
#[derive(Clone, Default)]
struct Gauge(Arc<(AtomicUsize, AtomicUsize)>);

async fn counted(_: Counted, cx: Ctx<Gauge>) {
    let now = cx.0.0.fetch_add(1, Ordering::SeqCst) + 1;
    cx.0.1.fetch_max(now, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(2)).await;
    cx.0.0.fetch_sub(1, Ordering::SeqCst);
}

#[tokio::test]
async fn a_limit_in_a_layer_holds_for_all_jobs_together() -> Result<()> {
    let db = Db::new().await?;
    db.howdah.enqueue_many((0..100).map(|_| Counted {})).await?;
    let gauge = Gauge::default();
    let worker = Worker::new(&db.howdah).state(gauge.clone()).handle(counted).concurrency(20);
    let worker = start(worker.layer(tower::limit::ConcurrencyLimitLayer::new(3)));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "100").await?;
    worker.stop().await?;
    assert_eq!(gauge.0.1.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test]
async fn a_layer_may_change_the_payload_before_anybody_reads_it() -> Result<()> {
    let (lines, failure) = end_of("work", |worker, _| {
        worker.layer(tower::util::MapRequestLayer::new(|mut call: JobCall| {
            let json = call.job().payload.get().replace("work", "other work");
            if let Ok(payload) = RawValue::from_string(json) {
                call.job_mut().payload = payload;
            }
            call
        }))
    })
    .await?;
    assert_eq!((lines.as_slice(), failure.as_str()), (&["handler other work".to_owned()][..], ""));
    Ok(())
}
