//! The commands, one module each.
//!
//! Invariant: a command returns its exit status or a failure; it prints its data itself. Limit: Ctrl-C ends at
//! once all but those that have something to put in order.

pub(crate) mod bench;
pub(crate) mod config;
pub(crate) mod cron;
pub(crate) mod dashboard;
pub(crate) mod dead;
pub(crate) mod demo;
pub(crate) mod doctor;
mod drain;
pub(crate) mod enqueue;
pub(crate) mod errors;
pub(crate) mod jobs;
pub(crate) mod kinds;
pub(crate) mod limits;
pub(crate) mod manual;
pub(crate) mod migrate;
mod near;
mod note;
pub(crate) mod operations;
pub(crate) mod purge;
pub(crate) mod queues;
mod search;
mod selection;
mod settings;
pub(crate) mod signals;
pub(crate) mod stats;
pub(crate) mod tail;
pub(crate) mod top;
mod wait;
pub(crate) mod work;
pub(crate) mod workers;
pub(crate) mod workflows;

use std::process::ExitCode;

use clap::ArgMatches;
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Cli, Command};
use crate::failure::{Failure, NO, Result};
use crate::output::Output;
use crate::watch;

/// Whether the answer was yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Done, found, current.
    Yes,
    /// Exit status 1, with nothing more to say.
    No,
}

impl From<bool> for Answer {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// Runs what was typed.
///
/// # Errors
/// What the command says.
pub(crate) async fn run(cli: Cli, typed: &ArgMatches) -> Result<ExitCode> {
    let fields = cli.global.json.as_deref();
    let path = watch::path(typed);
    if fields.is_some_and(|fields| !fields.is_empty()) && !(watch::is_for(&path) || path == "tail") {
        // Whether there are such fields would be known when it is done.
        return Err(Failure::usage(format!(
            "--json=FIELDS is for what lists or shows, and `howdah {path}` does something"
        ))
        .hint("leave the fields out, and choose with jq"));
    }
    let out = Output::new(fields);
    let answer = if cli.command.handles_interrupts() {
        dispatch(cli, out).await
    } else {
        let answer = async {
            match watch::seconds(typed) {
                None => dispatch(cli, out).await,
                Some(seconds) => watch::again_and_again(seconds, typed, out, dispatch).await,
            }
        };
        tokio::select! {
            answer = answer => answer,
            _ = tokio::signal::ctrl_c() => return Err(Failure::interrupted("")),
        }
    };
    match answer {
        Ok(Answer::Yes) => Ok(ExitCode::SUCCESS),
        Ok(Answer::No) => Ok(ExitCode::from(NO)),
        Err(failure) => Err(near::advised(failure).await),
    }
}

async fn dispatch(cli: Cli, out: Output) -> Result<Answer> {
    let global = &cli.global;
    match cli.command {
        Command::Migrate(command) => migrate::run(global, out, command).await,
        Command::Enqueue(command) => Box::pin(enqueue::run(global, out, *command)).await,
        Command::Jobs(command) => Box::pin(jobs::run(global, out, command)).await,
        Command::Dead(command) => Box::pin(dead::run(global, out, command)).await,
        Command::Errors(which) => errors::run(global, out, which).await,
        Command::Operations(command) => Box::pin(operations::run(global, out, command)).await,
        Command::Queues(command) => queues::run(global, out, command).await,
        Command::Config(command) => config::run(global, out, command).await,
        Command::Cron(command) => Box::pin(cron::run(global, out, command)).await,
        Command::Purge(what) => purge::run(global, out, what).await,
        Command::Kinds(command) => kinds::run(global, out, command).await,
        Command::Limits(command) => limits::run(global, out, command).await,
        Command::Signal(signal) => signals::send(global, out, signal).await,
        Command::Signals => signals::list(global, out).await,
        Command::Workflows(command) => workflows::run(global, out, command).await,
        Command::Stats(which) => stats::run(global, out, which).await,
        Command::Tail(what) => Box::pin(tail::run(global, out, what)).await,
        Command::Top(how) => Box::pin(top::run(global, out, how)).await,
        Command::Doctor(command) => doctor::run(global, out, command).await,
        Command::Workers(command) => workers::run(global, out, command).await,
        Command::Dashboard(command) => Box::pin(dashboard::run(global, out, command)).await,
        Command::Work(command) => Box::pin(work::run(global, out, command)).await,
        Command::Bench(command) => Box::pin(bench::run(global, out, command)).await,
        Command::Demo(command) => Box::pin(demo::run(global, out, command)).await,
        Command::Completions(of) => manual::completions(out, &of),
        Command::Man(of) => manual::man(out, &of),
        Command::DemoWorker(command) => Box::pin(demo::worker::run(command)).await,
    }
}

/// Ready at Ctrl-C, SIGTERM and SIGHUP: for what has something to take away at its end.
async fn told_to_stop() {
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup())) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
    }
}
