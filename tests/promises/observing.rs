//! What an operator sees: metrics, statements and their plans, traces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use howdah::{Answer, Ctx, Error, Howdah, Job, JobError, Statement, StatementHook, Worker, metrics as names};
use howdah_tests::{Db, in_time, start};
use metrics_util::debugging::{DebugValue, DebuggingRecorder, Snapshotter};
use opentelemetry::trace::{SpanKind, TracerProvider};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tracing::Instrument;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::layer::{Context as LayerContext, SubscriberExt};
use tracing_subscriber::{Layer, registry};

#[derive(Job, Serialize, Deserialize)]
#[job(attempts = 1)]
struct Ends {
    how: String,
}

/// Ends as its payload says.
async fn ends(job: Ends, cx: Ctx<Arc<Notify>>) -> Result<(), JobError> {
    match job.how.as_str() {
        "discard" => Err(JobError::discard("no")),
        "cancel" => Err(JobError::cancel("no")),
        "panic" => panic!("a panic on purpose"),
        "finish when taken" => {
            cx.notify_one();
            let workers = "SELECT count(*) FROM howdah.worker";
            while sqlx::query_scalar::<_, i64>(workers).fetch_one(cx.howdah().pool()).await? > 0 {}
            Ok(())
        }
        "hold" => {
            cx.notify_one();
            cx.cancelled().cancelled().await;
            Ok(())
        }
        _ => Ok(()),
    }
}

fn job(how: &str) -> Ends {
    Ends { how: how.to_owned() }
}

/// Sums of what a recorder has seen: of counters the count, of gauges the last value, of histograms how many.
struct Seen {
    snapshotter: Snapshotter,
    sums: BTreeMap<String, f64>,
    smallest: BTreeMap<String, f64>,
}

impl Seen {
    fn new(recorder: &DebuggingRecorder) -> Self {
        Self { snapshotter: recorder.snapshotter(), sums: BTreeMap::new(), smallest: BTreeMap::new() }
    }

    /// `name{label=value,...}`, labels in the order of their names.
    fn get(&mut self, name: &str) -> f64 {
        for (key, _, _, value) in self.snapshotter.snapshot().into_vec() {
            let mut labels: Vec<_> = key.key().labels().map(|l| format!("{}={}", l.key(), l.value())).collect();
            labels.sort();
            let key = format!("{}{{{}}}", key.key().name(), labels.join(","));
            let sum = self.sums.entry(key.clone()).or_default();
            match value {
                #[allow(clippy::cast_precision_loss, reason = "small numbers")]
                DebugValue::Counter(n) => *sum += n as f64,
                // Taking a snapshot sets it to zero: what is left are the changes since.
                DebugValue::Gauge(n) => *sum += n.into_inner(),
                DebugValue::Histogram(all) => {
                    for one in all {
                        *sum += 1.0;
                        let smallest = self.smallest.entry(key.clone()).or_insert(f64::MAX);
                        *smallest = smallest.min(one.into_inner());
                    }
                }
            }
        }
        self.sums.get(name).copied().unwrap_or(0.0)
    }

    async fn wait_for(&mut self, name: &str, wanted: f64) -> Result<()> {
        let start = Instant::now();
        while self.get(name) < wanted {
            if start.elapsed() > Duration::from_secs(60) {
                bail!("waited for {name} = {wanted} among {:#?}", self.sums);
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

#[tokio::test]
async fn every_metric_moves_as_documented() -> Result<()> {
    let db = Db::new().await?;
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut seen = Seen::new(&recorder);
    db.howdah.enqueue(job("well")).await?;
    db.howdah.enqueue_many((0..3).map(|_| job("well"))).await?;
    for how in ["discard", "cancel", "panic"] {
        db.howdah.enqueue(job(how)).await?;
    }
    let worker = start(Worker::new(&db.howdah).state(Arc::default()).handle(ends));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE ended_at IS NOT NULL", "7").await?;
    seen.wait_for("howdah_keeper_terms_total{}", 1.0).await?;
    worker.stop().await?;
    for (name, wanted) in [
        ("howdah_jobs_enqueued_total{kind=ends,queue=default}", 7.0),
        ("howdah_jobs_claimed_total{queue=default}", 7.0),
        ("howdah_pickup_seconds{queue=default}", 7.0),
        ("howdah_attempts_total{kind=ends,outcome=completed,queue=default}", 4.0),
        ("howdah_attempts_total{kind=ends,outcome=discard,queue=default}", 1.0),
        ("howdah_attempts_total{kind=ends,outcome=cancel,queue=default}", 1.0),
        ("howdah_attempts_total{kind=ends,outcome=retry,queue=default}", 1.0),
        ("howdah_attempt_seconds{kind=ends,outcome=completed,queue=default}", 4.0),
        ("howdah_running{queue=default}", 0.0),
        ("howdah_lease_lost_total{when=running}", 0.0),
        ("howdah_statement_seconds{connection=client,operation=enqueue_many}", 1.0),
    ] {
        assert!((seen.get(name) - wanted).abs() < 0.01, "{name} is {} and not {wanted}", seen.get(name));
    }
    for name in ["claim,connection=claimer", "fail,connection=flusher", "heartbeat,connection=chores"] {
        let (operation, connection) = name.split_once(',').context("two")?;
        let name = format!("{}{{{connection},operation={operation}}}", names::STATEMENT_SECONDS);
        assert!(seen.get(&name) > 0.0, "{name} among {:?}", seen.sums);
    }
    let looks: f64 = seen.sums.iter().filter(|(name, _)| name.starts_with(names::LOOKS)).map(|(_, n)| n).sum();
    assert!(looks > 0.0);
    let pickup = seen.smallest.get("howdah_pickup_seconds{queue=default}").context("a pickup")?;
    assert!((0.0..20.0).contains(pickup), "{pickup}");
    Ok(())
}

#[tokio::test]
async fn a_result_that_is_refused_is_counted() -> Result<()> {
    let db = Db::new().await?;
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let (mut seen, held) = (Seen::new(&recorder), Arc::new(Notify::new()));
    db.howdah.enqueue(job("finish when taken")).await?;
    // Nobody tells it before: neither a heartbeat (a listener sends one when it begins), nor a claim, for which it has
    // no hand free.
    let worker = Worker::new(&db.howdah).state(Arc::clone(&held)).handle(ends).concurrency(1).listen(false);
    let worker = start(worker.lease(Duration::from_secs(600)).heartbeat(Duration::from_secs(300)).keeper(false));
    held.notified().await;
    db.run("SELECT howdah.rescue_worker(id, 'test', 'taken away') FROM howdah.worker").await?;
    seen.wait_for("howdah_lease_lost_total{when=told}", 1.0).await?;
    worker.stop().await?;
    assert!(seen.get("howdah_lease_lost_total{when=running}") < 0.5);
    Ok(())
}

#[test]
fn the_document_names_every_metric() {
    let document = include_str!("../../docs/metrics.md");
    for name in [
        names::JOBS_ENQUEUED,
        names::JOBS_CLAIMED,
        names::PICKUP_SECONDS,
        names::ATTEMPTS,
        names::ATTEMPT_SECONDS,
        names::RUNNING,
        names::LEASE_LOST,
        names::LOOKS,
        names::STATEMENT_SECONDS,
        names::DATABASE_ERRORS,
        names::KEEPER_TERMS,
    ] {
        assert!(document.contains(&format!("\n| `{name}` | ")), "{name}");
    }
}

#[tokio::test]
async fn a_lost_lease_and_a_lost_connection_are_counted() -> Result<()> {
    let db = Db::new().await?;
    let recorder = DebuggingRecorder::new();
    let _recording = metrics::set_default_local_recorder(&recorder);
    let mut seen = Seen::new(&recorder);
    let held = Arc::new(Notify::new());
    db.howdah.enqueue(job("hold")).await?;
    let worker = Worker::new(&db.howdah).state(Arc::clone(&held)).handle(ends);
    let worker = start(worker.lease(Duration::from_secs(600)).heartbeat(Duration::from_millis(10)).keeper(false));
    held.notified().await;
    assert!((seen.get("howdah_running{queue=default}") - 1.0).abs() < 0.01);
    db.run("SELECT howdah.rescue_worker(id, 'test', 'taken away') FROM howdah.worker").await?;
    seen.wait_for("howdah_lease_lost_total{when=running}", 1.0).await?;
    seen.wait_for("howdah_attempts_total{kind=ends,outcome=lost,queue=default}", 1.0).await?;
    db.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'howdah chores'").await?;
    let start = Instant::now();
    while !seen.sums.keys().any(|name| name.starts_with("howdah_database_errors_total{connection=chores,sqlstate=")) {
        seen.get("");
        assert!(start.elapsed() < Duration::from_secs(60), "no error was counted: {:#?}", seen.sums);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    worker.stop().await
}

/// Writes down what it is shown.
#[derive(Clone, Default)]
struct Diary(Arc<Mutex<Pages>>);

impl Diary {
    fn has_seen(&self, operation: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).seen.contains(operation)
    }

    async fn wait_for(&self, operations: &[&str]) -> Result<()> {
        in_time("operations of chores", async {
            while !operations.iter().all(|wanted| self.has_seen(wanted)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await
    }
}

#[derive(Default)]
struct Pages {
    /// Begun, and not ended.
    open: usize,
    seen: BTreeSet<String>,
    said: Vec<String>,
}

/// What a worker and a client of these tests say, each on its connection.
const OPERATIONS: [&str; 22] = [
    "chores elect_keeper",
    "chores heartbeat",
    "chores keep",
    "chores resign_keeper",
    "chores start_worker",
    "chores stop_worker",
    "claimer claim",
    "client cancel",
    "client complete_in",
    "client create_queue",
    "client enqueue",
    "client enqueue_many",
    "client holds",
    "client pause_queue",
    "client report_progress",
    "client resume_queue",
    "client retry",
    "client state",
    "flusher forget",
    "listener attach_session",
    "notes note_progress",
    "rotation rotate",
];

impl StatementHook for Diary {
    fn before(&self, _: &Statement) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).open += 1;
    }
    fn after(&self, statement: &Statement, answer: &Answer<'_>) {
        let mut diary = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        diary.open -= 1;
        diary.seen.insert(format!("{} {}", statement.connection, statement.operation));
        match answer.error {
            Some(error) => diary.said.push(format!("{} {} rows, {error}", statement.operation, answer.rows)),
            None if statement.operation == "enqueue_many" => {
                diary.said.push(format!("enqueue_many {} rows", answer.rows));
            }
            None => {}
        }
    }
}

#[tokio::test]
async fn the_hook_sees_every_operation_and_what_was_refused() -> Result<()> {
    async fn done(_: Ends, cx: Ctx<()>) -> Result<(), JobError> {
        cx.check_lease().await?;
        cx.progress(50, "half");
        let written = "SELECT count(*) FROM howdah.progress WHERE job_id = $1";
        while sqlx::query_scalar::<_, i64>(written).bind(cx.id().0).fetch_one(cx.howdah().pool()).await? == 0 {}
        cx.checkpoint(&1).await?;
        let mut tx = cx.howdah().pool().begin().await?;
        cx.complete_in(&mut tx).await?;
        Ok(tx.commit().await?)
    }
    let db = Db::new().await?;
    let diary = Diary::default();
    let howdah = db.howdah.clone().on_statement(diary.clone());
    let refused = howdah.enqueue(job("x")).queue("nowhere").await;
    assert!(matches!(refused, Err(Error::UnknownQueue { .. })));
    let id = howdah.enqueue(job("x")).await?;
    howdah.enqueue_many([job("y"), job("z")]).await?;
    assert!(howdah.pause_queue("default", None, None).await? && howdah.resume_queue("default").await?);
    howdah.create_queue("other").await?;
    let worker = start(Worker::new(&howdah).handle(done));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE state = 'completed'", "3").await?;
    howdah.state(id).await?;
    howdah.retry(id).await?;
    howdah.cancel(id).await?;
    // Chores come by their own times.
    diary.wait_for(&["chores keep", "listener attach_session", "rotation rotate"]).await?;
    worker.stop().await?;
    let diary = diary.0.lock().unwrap_or_else(PoisonError::into_inner);
    for wanted in OPERATIONS {
        assert!(diary.seen.contains(wanted), "{wanted} is not among {:#?}", diary.seen);
    }
    assert!(!diary.seen.iter().any(|seen| seen.ends_with(" sql")), "statements without a name: {:#?}", diary.seen);
    assert_eq!(diary.open, 0, "every statement that was begun has ended");
    assert_eq!(diary.said.len(), 2, "{:?}", diary.said);
    assert!(diary.said[0].starts_with("enqueue 0 rows, "), "{:?}", diary.said);
    assert_eq!(diary.said[1], "enqueue_many 1 rows");
    Ok(())
}

/// The texts of events of one target.
struct Texts(&'static str, mpsc::UnboundedSender<String>);

impl<S: tracing::Subscriber> Layer<S> for Texts {
    fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
        struct Text(String);
        impl tracing::field::Visit for Text {
            fn record_debug(&mut self, _: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{value:?} "));
            }
        }
        if event.metadata().target() == self.0 {
            let mut text = Text(String::new());
            event.record(&mut text);
            let _ = self.1.send(text.0);
        }
    }
}

async fn hear(texts: &mut mpsc::UnboundedReceiver<String>, wanted: &str) -> Result<()> {
    let heard = async { while !texts.recv().await.is_some_and(|text| text.contains(wanted)) {} };
    in_time(wanted, heard).await
}

#[tokio::test]
async fn plans_of_a_sample_of_the_statements_are_told() -> Result<()> {
    let db = Db::new().await?;
    let (told, mut texts) = mpsc::unbounded_channel();
    let _listening = set_default(registry().with(Texts("sqlx::postgres::notice", told)));
    let howdah = db.howdah.clone().explain_sample(1.0);
    howdah.enqueue(job("x")).await?;
    let worker = start(Worker::new(&howdah).state(Arc::default()).handle(ends));
    hear(&mut texts, "howdah.claim(").await?;
    hear(&mut texts, "Index Scan").await?;
    worker.stop().await
}

#[tokio::test]
async fn a_role_that_may_not_explain_works_without() -> Result<()> {
    let db = Db::new().await?;
    let role = format!("plain_{}", db.text("SELECT current_database()").await?);
    db.run(&format!(
        "CREATE ROLE {role} LOGIN PASSWORD 'plain'; GRANT USAGE ON SCHEMA howdah TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA howdah TO {role};
         GRANT ALL ON ALL SEQUENCES IN SCHEMA howdah TO {role}"
    ))
    .await?;
    let (told, mut texts) = mpsc::unbounded_channel();
    let _listening = set_default(registry().with(Texts("howdah::statement", told)));
    let options = (*db.pool().connect_options()).clone().username(&role).password("plain");
    let howdah = Howdah::from_pool(sqlx::PgPool::connect_with(options).await?).explain_sample(0.5);
    howdah.enqueue(job("x")).await?;
    let worker = start(Worker::new(&howdah).state(Arc::default()).handle(ends));
    db.wait_for("SELECT state FROM howdah.jobs", "completed").await?;
    worker.stop().await?;
    howdah.pool().close().await;
    db.run(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await?;
    assert!(texts.try_recv()?.contains("cannot sample plans"));
    assert!(texts.try_recv().is_err(), "it is said once");
    Ok(())
}

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[tokio::test]
async fn the_trace_of_the_enqueuer_arrives_in_the_handler() -> Result<()> {
    async fn traced(_: Ends, cx: Ctx<mpsc::UnboundedSender<Option<String>>>) {
        let _ = cx.send(cx.traceparent().map(ToOwned::to_owned));
    }
    let db = Db::new().await?;
    let (told, mut traces) = mpsc::unbounded_channel();
    db.howdah.enqueue(job("x")).traceparent(TRACE).await?;
    db.howdah.enqueue(job("x")).await?;
    let worker = start(Worker::new(&db.howdah).state(told).handle(traced));
    let mut seen = [in_time("a trace", traces.recv()).await?, in_time("a trace", traces.recv()).await?];
    seen.sort();
    assert_eq!(seen, [Some(None), Some(Some(TRACE.to_owned()))]);
    worker.stop().await
}

#[tokio::test]
async fn what_is_no_trace_is_refused_by_its_name() -> Result<()> {
    let db = Db::new().await?;
    let mut session = db.session().await?;
    let check = |trace: &str| format!("SELECT howdah.check_traceparent('{trace}')");
    session.run(&check(TRACE)).await?;
    session.run(&check(&TRACE.replacen("00", "01", 1).replace("-01", "-01-later"))).await?;
    session.run("SELECT howdah.check_traceparent(NULL)").await?;
    let long = format!("01{}-{}", &TRACE[2..], "x".repeat(80));
    for wrong in [
        "",
        "x",
        &TRACE.to_uppercase(),
        &TRACE[..54],
        &format!("{TRACE}-more"),
        &format!("{TRACE} "),
        &TRACE.replacen("00", "ff", 1),
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        &long,
    ] {
        assert_eq!(session.refusal(&check(wrong)).await?, "HD002 traceparent", "{wrong:?}");
    }
    Ok(())
}

/// Spans go to the exporter, in this thread.
fn exporting() -> (InMemorySpanExporter, SdkTracerProvider, DefaultGuard) {
    let exporter = InMemorySpanExporter::default();
    let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
    let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
    (exporter, provider, set_default(registry().with(layer)))
}

/// Enqueues a job in a span and runs it; gives the spans of the enqueuer and of the job.
async fn spans(continue_trace: bool, how: &str) -> Result<(SpanData, SpanData)> {
    let db = Db::new().await?;
    let (exporter, _provider, _exporting) = exporting();
    assert_eq!(howdah::current_traceparent(), None);
    let enqueue = async {
        let trace = howdah::current_traceparent().context("a trace")?;
        db.howdah.enqueue(job(how)).await?;
        assert_eq!(db.text("SELECT options ->> 'traceparent' FROM howdah.job").await?, trace);
        anyhow::Ok(())
    };
    enqueue.instrument(tracing::info_span!("request")).await?;
    let worker = start(Worker::new(&db.howdah).state(Arc::default()).handle(ends).continue_trace(continue_trace));
    db.wait_for("SELECT count(*) FROM howdah.jobs WHERE ended_at IS NOT NULL", "1").await?;
    worker.stop().await?;
    let finished = exporter.get_finished_spans()?;
    let named = |name: &str| {
        finished
            .iter()
            .find(|span| span.name == name)
            .cloned()
            .with_context(|| format!("no span {name}: {finished:#?}"))
    };
    Ok((named("request")?, named("process default")?))
}

#[tokio::test]
async fn the_span_of_a_job_is_linked_to_the_span_that_enqueued_it() -> Result<()> {
    let (request, job) = spans(false, "discard").await?;
    assert_ne!(job.span_context.trace_id(), request.span_context.trace_id());
    let links: Vec<_> = job.links.iter().map(|l| (l.span_context.trace_id(), l.span_context.span_id())).collect();
    assert_eq!(links, [(request.span_context.trace_id(), request.span_context.span_id())]);
    assert_eq!(job.span_kind, SpanKind::Consumer);
    let attribute = |name: &str| {
        job.attributes.iter().find(|a| a.key.as_str() == name).map(|a| a.value.to_string()).unwrap_or_default()
    };
    assert_eq!(attribute("messaging.system"), "howdah");
    assert_eq!(attribute("messaging.destination.name"), "default");
    assert_eq!(attribute("messaging.operation.type"), "process");
    assert_eq!(attribute("kind"), "ends");
    assert_eq!(attribute("error.type"), "error");
    assert_eq!(job.status, opentelemetry::trace::Status::error("no"));
    Ok(())
}

#[tokio::test]
async fn the_trace_of_the_enqueuer_goes_on_where_that_is_asked_for() -> Result<()> {
    let (request, job) = spans(true, "well").await?;
    assert_eq!(job.span_context.trace_id(), request.span_context.trace_id());
    assert_eq!(job.parent_span_id, request.span_context.span_id());
    assert_eq!(job.links.iter().count(), 0);
    Ok(())
}
