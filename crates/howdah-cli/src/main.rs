//! `howdah`: the command line of the queue.
//!
//! Invariant: standard output holds data only, talk goes to standard error, and the exit status tells the outcome:
//! 0 done; 1 the answer is no; 2 wrong usage; 3 PostgreSQL cannot be reached; 4 no schema, or one of another
//! version; 130 Ctrl-C. Limit: everything it does, the library or one SQL statement can do as well.

mod args;
mod commands;
mod connect;
mod dotenv;
mod duration;
mod examples;
mod failure;
mod output;
mod progress;
mod watch;

use std::process::ExitCode;

use clap::FromArgMatches;
// Rows come as the text of JSON objects, so that numbers stay exact and columns in order.
use howdah_admin::sql;

use crate::args::Cli;
use crate::failure::Failure;

fn main() -> ExitCode {
    let typed = examples::tree().get_matches();
    let cli = Cli::from_arg_matches(&typed).unwrap_or_else(|error| error.exit());
    start_tracing(&cli);
    let ended = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::no(format!("cannot start: {e}")))
        .and_then(|runtime| {
            let ended = runtime.block_on(Box::pin(commands::run(cli, &typed)));
            // A thread that waits for standard input must not hold up the end.
            runtime.shutdown_background();
            ended
        });
    match ended {
        Ok(code) => code,
        Err(failure) => failure.tell(),
    }
}

/// Sends what the library logs to standard error. Unasked, a worker says why an attempt failed, and a migration whom it waits for.
fn start_tracing(cli: &Cli) {
    let level = match (cli.global.verbose, cli.command.logs_warnings()) {
        (0, false) => "error",
        (0, true) => "warn,sqlx=error",
        (1, _) => "info",
        (2, _) => "debug",
        _ => "trace",
    };
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::new(level))
        .with_writer(std::io::stderr)
        // It would be told with eprintln!, and end the worker that only wanted to tell of a failure.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
}
