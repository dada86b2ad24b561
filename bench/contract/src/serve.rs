//! Reads commands and answers them.
//!
//! Invariant: an answer to each command, also when it failed. Limit: one command at a time.

use anyhow::Context;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::{Adapter, Result, Seen, Unsupported, enqueue};

/// A command: bench/README.md says what each is for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    Hello,
    Open {
        url: String,
        install: bool,
    },
    EnqueueBulk {
        jobs: u64,
        batch: usize,
    },
    EnqueueSingle {
        lanes: u64,
        seconds: f64,
    },
    Pace {
        lanes: u64,
        #[serde(default)]
        warm: u64,
        rate: f64,
        jobs: u64,
    },
    StartWorker {
        concurrency: usize,
        #[serde(default)]
        hold: bool,
        #[serde(default)]
        other_queue: bool,
    },
    Await {
        jobs: u64,
    },
    Waited,
    LetGo,
    Unfinished,
    StopWorker,
}

/// Answers commands until there are no more.
///
/// # Errors
/// If standard input or output fails.
pub async fn serve<A: Adapter>() -> Result<()> {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut out = tokio::io::stdout();
    let mut session = Session::<A> { adapter: None, seen: Seen::new(false) };
    while let Some(line) = lines.next_line().await? {
        let answer = match serde_json::from_str(&line) {
            Ok(command) => session.answer(command).await,
            Err(error) => Err(error.into()),
        };
        let mut answer = answer.unwrap_or_else(|error| match error.downcast_ref::<Unsupported>() {
            Some(why) => json!({ "unsupported": why.0 }),
            None => json!({ "error": format!("{error:#}") }),
        });
        if answer.is_null() {
            answer = json!({});
        }
        out.write_all(format!("{answer}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

struct Session<A> {
    adapter: Option<A>,
    seen: Seen,
}

impl<A: Adapter> Session<A> {
    async fn answer(&mut self, command: Command) -> Result<Value> {
        if let Command::Hello = command {
            return Ok(json!({ "version": A::VERSION }));
        }
        if let Command::Open { url, install } = command {
            self.adapter = Some(A::open(&url, install).await?);
            return Ok(Value::Null);
        }
        let adapter = self.adapter.as_mut().context("the first command after hello is open")?;
        match command {
            Command::Hello | Command::Open { .. } => {}
            Command::EnqueueBulk { jobs, batch } => adapter.enqueue_bulk(jobs, batch).await?,
            Command::EnqueueSingle { lanes, seconds } => {
                let (jobs, seconds) = enqueue::flat_out(adapter, lanes, seconds).await?;
                return Ok(json!({ "jobs": jobs, "seconds": seconds }));
            }
            Command::Pace { lanes, warm, rate, jobs } => {
                let (jobs, seconds) = enqueue::paced(adapter, lanes, warm, rate, jobs).await?;
                return Ok(json!({ "jobs": jobs, "seconds": seconds }));
            }
            Command::StartWorker { concurrency, hold, other_queue } => {
                self.seen = Seen::new(hold);
                adapter.start_worker(concurrency, other_queue, self.seen.clone()).await?;
            }
            Command::Await { jobs } => {
                self.seen.until(jobs).await;
                return Ok(json!({ "jobs": self.seen.count() }));
            }
            Command::Waited => return Ok(json!({ "us": self.seen.take_waited() })),
            Command::LetGo => self.seen.let_go(),
            Command::Unfinished => return Ok(json!({ "unfinished": adapter.unfinished().await? })),
            Command::StopWorker => adapter.stop_worker().await?,
        }
        Ok(Value::Null)
    }
}
