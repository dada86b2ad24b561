//! `howdah work`: a worker that runs a program for each job.
//!
//! Invariant: the program's end is the job's outcome: 0 completed, 65 discarded, everything else tried again.
//! Limit: one program for all kinds that it is given; it sees the kind in `HOWDAH_KIND`.

mod child;
mod exec;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use howdah::{Ctx, Filter, RawJob, Worker};
use tokio::signal::unix::{SignalKind, signal};

use self::child::Groups;
use super::Answer;
use crate::args::Global;
use crate::failure::{Failure, Result};
use crate::output::{Output, escaped, say};
use crate::{connect, duration};

/// What to run, and for which jobs.
#[derive(Debug, Args)]
#[command(after_help = "\
The program gets the payload as JSON on standard input, and HOWDAH_JOB_ID, HOWDAH_KIND, HOWDAH_QUEUE,
HOWDAH_ATTEMPT and HOWDAH_MAX_ATTEMPTS in its environment. Its exit status is the outcome:
  0 completed    65 discarded: dead at once    75, any other, or a signal: tried again
The end of its standard error is kept as the reason. Its standard output is printed when it has ended.

Examples:
  howdah work --exec 'jq -r .name >> names.txt'
  howdah work --exec ./handle-mail --queue mail:4 --queue slow:1
  howdah work --exec ./handle-mail --kind 'mail.*' --kind newsletter
  howdah work --exec ./import --filter '$.tenant == 42'")]
pub(crate) struct Work {
    /// The program and its arguments, run by sh
    #[arg(long, value_name = "PROGRAM")]
    exec: String,
    /// Serve this queue, with at most N jobs at a time; may be given again [default: default]
    #[arg(long, value_name = "QUEUE[:N]")]
    queue: Vec<String>,
    /// Only jobs of this kind, or with a * at its end of all that begin so; may be given again [default: any]
    #[arg(long, value_name = "KIND", value_parser = NonEmptyStringValueParser::new())]
    kind: Vec<String>,
    /// Only jobs whose attributes match, such as '$.tenant == 42'; the rest is left for others
    #[arg(long, value_name = "FILTER")]
    filter: Option<String>,
    /// How many jobs of each queue run at a time
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// How long running jobs may go on after Ctrl-C or SIGTERM
    #[arg(long, default_value = "30s", value_parser = duration::parse)]
    grace: Duration,
}

pub(crate) async fn run(global: &Global, out: Output, command: Work) -> Result<Answer> {
    let howdah = connect::to_queue(global).await?;
    let queues = queues(&command)?;
    let mut worker = Worker::new(&howdah).grace(command.grace);
    for (name, concurrency) in &queues {
        worker = worker.queue(name, *concurrency);
    }
    let served = queues.iter().map(|(name, n)| format!("{name}:{n}")).collect::<Vec<_>>().join(" ");
    say(&format!("working on {}; Ctrl-C stops, a second one at once", escaped(&served)));

    let groups = Groups::default();
    let setting = Arc::new(exec::Setting { program: command.exec, out, groups: groups.clone() });
    let run = move |job: RawJob, cx: Ctx| exec::run(Arc::clone(&setting), job, cx);
    if let Some(filter) = command.filter {
        worker = worker.filter(Filter::raw(filter)?);
    }
    for kind in &command.kind {
        worker = match kind.strip_suffix('*') {
            Some(prefix) => worker.handle_prefix(prefix, run.clone()),
            None => worker.handle_raw(kind, run.clone()),
        };
    }
    if command.kind.is_empty() {
        worker = worker.handle_any(run);
    }
    let interrupted = AtomicBool::new(false);
    let stop = told_to_stop(&interrupted);
    tokio::select! {
        ended = worker.run_until(stop) => ended?,
        () = second_interrupt() => {
            groups.kill_all();
            return Err(Failure::interrupted("stopped at once: others will do what was running"));
        }
    }
    // Ctrl-C is told as such, so that a shell loop around this ends too. SIGTERM is how services are stopped.
    if interrupted.load(Ordering::Relaxed) { Err(Failure::interrupted("")) } else { Ok(Answer::Yes) }
}

/// `mail:4` is the queue mail with 4 jobs at a time.
fn queues(command: &Work) -> Result<Vec<(String, usize)>> {
    if command.queue.is_empty() {
        return Ok(vec![("default".to_owned(), usize::from(command.concurrency))]);
    }
    let of = |text: &String| match text.rsplit_once(':').map(|(name, n)| (name, n.parse::<u16>())) {
        Some((name, Ok(n @ 1..=1000))) => Ok((name.to_owned(), usize::from(n))),
        Some((_, Ok(n))) => Err(Failure::usage(format!("--queue {text}: {n} is not between 1 and 1000"))),
        _ => Ok((text.clone(), usize::from(command.concurrency))),
    };
    command.queue.iter().map(of).collect()
}

async fn told_to_stop(interrupted: &AtomicBool) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => interrupted.store(true, Ordering::Relaxed),
    }
    say("stopping: no more claims, waiting for running jobs");
}

/// Never ready after the first Ctrl-C alone.
async fn second_interrupt() {
    let Ok(mut interrupts) = signal(SignalKind::interrupt()) else { return std::future::pending().await };
    interrupts.recv().await;
    interrupts.recv().await;
}
