//! What can be typed: the global options and the tree of commands.
//!
//! Invariant: whatever can be refused without a database is refused here, by the name of its option, with exit
//! status 2. Limit: words only; what they do is in `commands`.

use clap::{Args, Parser, Subcommand};

use crate::commands::{
    bench, config, cron, dashboard, dead, demo, doctor, enqueue, errors, jobs, kinds, limits, manual, migrate,
    operations, purge, queues, signals, stats, tail, top, work, workers, workflows,
};

const EXIT_CODES: &str = "\
Exit status: 0 done; 1 the answer is no; 2 wrong usage; 3 PostgreSQL cannot be reached;
4 no schema, or one of another version (howdah migrate up); 130 Ctrl-C.

The database: --database-url, else DATABASE_URL (also from .env in the current folder),
else PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE and the like.";

/// The job queue that lives inside PostgreSQL.
#[derive(Debug, Parser)]
#[command(name = "howdah", version, after_help = EXIT_CODES, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// The database, like postgres://user@host/name; others on this machine see what is typed here [env: DATABASE_URL]
    // Not through clap, whose help would show the value, and which could not tell the demo where it came from.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) database_url: Option<String>,
    /// The schema that holds the queue [env: HOWDAH_SCHEMA] [default: howdah]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) schema: Option<String>,
    /// Print JSON instead of tables; --json=id,state,kind: only these members, in this order
    // With an equals sign only: what follows it may be what is looked for.
    #[arg(long, global = true, value_name = "FIELDS", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) json: Option<String>,
    /// Log to standard error what happens; twice: more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Install the queue in the database, or bring it to this release
    #[command(subcommand)]
    Migrate(migrate::Migrate),
    /// Enqueue one job, or a job for each line of standard input
    Enqueue(Box<enqueue::Enqueue>),
    /// Look at jobs, cancel them, retry them
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Look at jobs whose last attempt failed, send them again, delete them
    #[command(subcommand)]
    Dead(dead::Dead),
    /// List failed attempts in groups of the same cause
    Errors(errors::Errors),
    /// Do something to all jobs that a search means, and see who did what
    #[command(subcommand)]
    Operations(operations::Operations),
    /// Look at queues, set, pause, resume and delete them
    #[command(subcommand)]
    Queues(queues::Queues),
    /// Look at the settings of the installation and change them: how long what has ended is kept
    #[command(subcommand)]
    Config(config::Config),
    /// Look at schedules, set, pause, resume, run and delete them
    #[command(subcommand)]
    Cron(cron::Cron),
    /// Remove jobs that have ended before their retention is over
    Purge(purge::Purge),
    /// Look at what is set of kinds of jobs, and change it
    #[command(subcommand)]
    Kinds(kinds::Kinds),
    /// Limit how many jobs run at the same time or start in a time, and weigh shares
    #[command(subcommand)]
    Limits(limits::Limits),
    /// Send a signal to jobs that wait for its name, or take it back
    Signal(signals::Signal),
    /// List the signals that are kept
    Signals,
    /// Look at workflows and their jobs, cancel them, run them again
    #[command(subcommand)]
    Workflows(workflows::Workflows),
    /// Look at worker processes, and what they run
    #[command(subcommand)]
    Workers(workers::Workers),
    /// Show what waits, what runs, and who works; or how attempts ended
    Stats(stats::Stats),
    /// Follow what happens: a line for each attempt that begins or fails and each job that ends
    Tail(tail::Tail),
    /// A live screen of queues and workers, to look and to pause
    Top(top::Top),
    /// Look for what goes wrong with the queue and its database, and say how to mend it
    Doctor(doctor::Doctor),
    /// Look at the queue and operate it in a browser
    Dashboard(dashboard::Dashboard),
    /// Run jobs: a program for each
    Work(work::Work),
    /// Measure how fast the queue is on this database, in a schema that is dropped afterwards
    Bench(bench::Bench),
    /// See it work: hash every file of a folder on a private PostgreSQL, and kill a worker half-way
    Demo(demo::Demo),
    /// Print what completes these commands at the press of a key, for a shell
    Completions(manual::Completions),
    /// Print the man page, or write those of all commands into a folder
    Man(manual::Man),
    /// A worker process of the demo
    #[command(hide = true)]
    DemoWorker(demo::DemoWorker),
}

impl Command {
    /// Whether warnings are logged unasked: it runs until it is told to stop, or waits for others who have to be named.
    pub(crate) fn logs_warnings(&self) -> bool {
        matches!(self, Self::Work(_) | Self::Dashboard(_) | Self::Migrate(_))
    }

    /// Whether it has something to put in order when Ctrl-C comes.
    pub(crate) fn handles_interrupts(&self) -> bool {
        matches!(
            self,
            Self::Work(_)
                | Self::Dashboard(_)
                | Self::Bench(_)
                | Self::Demo(_)
                | Self::DemoWorker(_)
                | Self::Enqueue(_)
                | Self::Top(_)
        )
    }
}

#[cfg(test)]
mod tests;
