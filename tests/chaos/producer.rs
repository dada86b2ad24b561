//! A process that enqueues in every way there is, and writes down what it means and what it hears.
//!
//! Invariant: what it means is written before it is sent. An outcome counts as unknown unless the server has said no, or
//! COMMIT was never sent. Limit: it ends by itself when the file `stop` is there and nothing is in doubt that has a key.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Result;
use howdah::{Enqueue, Howdah, JobId, Unique};
use tokio::time::{sleep, timeout};

use super::actor::{Actor, Way};
use super::jobs::Task;
use super::setup::{LIMIT_KEYS, QUEUES};
use crate::history::Event;
use crate::seed::Seed;

/// How long an answer may take before the producer gives up on it.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a call came to.
enum Outcome {
    Made(Vec<JobId>),
    Hit(JobId),
    Refused(String),
    Unknown(String),
}

pub(super) struct Producer {
    actor: Actor,
    howdah: Howdah,
    seed: Seed,
    tags: u64,
    /// Its latest jobs, for others to wait for.
    made: VecDeque<JobId>,
    /// With a key that lasts for ever, and nobody knows whether they were made.
    in_doubt: Vec<Task>,
}

/// Enqueues until it is told to stop.
pub(super) async fn run(actor: Actor, seed: Seed) -> Result<()> {
    let howdah = Howdah::from_pool(actor.pool(2)?);
    let mut producer = Producer { actor, howdah, seed, tags: 0, made: VecDeque::new(), in_doubt: Vec::new() };
    while !producer.actor.told_to_stop() {
        producer.once().await;
        sleep(Duration::from_millis(5 + u64::try_from(producer.seed.below(30))?)).await;
    }
    while !producer.in_doubt.is_empty() {
        producer.ask_again().await;
        sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn known(error: &howdah::Error) -> bool {
    match error {
        howdah::Error::Database(sqlx::Error::Database(e)) => {
            // The session was ended: perhaps after the commit.
            e.code().is_some_and(|code| !code.starts_with("57P") && !code.starts_with("08"))
        }
        howdah::Error::Database(_) => false,
        _ => true,
    }
}

fn outcome<T>(
    result: Result<howdah::Result<T>, tokio::time::error::Elapsed>,
    made: impl FnOnce(T) -> Outcome,
) -> Outcome {
    match result {
        Ok(Ok(answer)) => made(answer),
        Ok(Err(error)) if known(&error) => Outcome::Refused(error.to_string()),
        Ok(Err(error)) => Outcome::Unknown(error.to_string()),
        Err(_) => Outcome::Unknown("no answer".to_owned()),
    }
}

impl Producer {
    async fn once(&mut self) {
        match self.seed.below(100) {
            // Before PgBouncer 1.21 there is no other way that a driver could go which prepares its statements.
            _ if self.actor.way == Way::Pooler => self.transaction().await,
            _ if self.in_doubt.len() > 20 => self.ask_again().await,
            0..5 => self.batch().await,
            5..28 => self.transaction().await,
            28..38 => self.with_a_key_for_ever().await,
            38..46 => self.with_a_key_while_it_lives().await,
            49..52 => self.cancel().await,
            46..49 if !self.in_doubt.is_empty() => self.ask_again().await,
            _ => self.one().await,
        }
    }

    fn tag(&mut self) -> String {
        self.tags += 1;
        format!("{}-{}", self.actor.log.who(), self.tags)
    }

    fn task(&mut self) -> Task {
        let tag = self.tag();
        Task::any(tag, &mut self.seed)
    }

    /// With whatever a job may have.
    fn options<'e>(&mut self, job: Enqueue<'e>, attempts: u16) -> Enqueue<'e> {
        let job = job.max_attempts(attempts);
        match self.seed.below(24) {
            0..3 => job.limit_key(format!("k:{}", self.seed.below(LIMIT_KEYS))),
            3 => job.limit_key("rate"),
            4 | 5 => job.queue(QUEUES[1]),
            6 => job.queue(QUEUES[1]).limit_key("k:0"),
            7 | 8 => job.order_key(format!("{} {}", self.actor.log.who(), self.seed.below(2))),
            9..11 => {
                let last = self.made.len().min(1 + self.seed.below(2));
                job.after(self.made.iter().rev().take(last).copied().collect::<Vec<_>>())
            }
            11 | 12 => job.delay(Duration::from_millis(u64::try_from(self.seed.below(400)).unwrap_or(0))),
            13 => job.priority(u8::try_from(self.seed.below(10)).unwrap_or(5)),
            14 | 15 => job.queue(QUEUES[2]).fair_key(format!("t:{}", self.seed.below(3))),
            16 if self.seed.chance(50) => {
                job.ttl(Duration::from_millis(50 + u64::try_from(self.seed.below(1500)).unwrap_or(0)))
            }
            _ => job,
        }
    }

    /// Says what is meant; gives the number of the call.
    fn means(&self, tasks: &[&Task]) -> u64 {
        let call = self.actor.log.number();
        self.actor.log.write(Event::Intends { call, tags: tasks.iter().map(|task| task.tag.clone()).collect() });
        call
    }

    /// Says what was heard; true: it is in doubt.
    fn hears(&mut self, call: u64, outcome: Outcome) -> bool {
        let unknown = matches!(outcome, Outcome::Unknown(_));
        self.actor.log.write(match outcome {
            Outcome::Made(ids) => {
                self.made.extend(ids.iter().copied());
                while self.made.len() > 50 {
                    self.made.pop_front();
                }
                Event::Acked { call, ids: ids.iter().map(|id| id.0).collect() }
            }
            Outcome::Hit(id) => Event::Hit { call, id: id.0 },
            Outcome::Refused(error) => Event::Refused { call, error },
            Outcome::Unknown(error) => Event::Unknown { call, error },
        });
        unknown
    }

    async fn one(&mut self) {
        let (task, howdah) = (self.task(), self.howdah.clone());
        let attempts = task.max_attempts();
        let job = self.options(howdah.enqueue(task.clone()), attempts);
        let call = self.means(&[&task]);
        let result = timeout(PATIENCE, job.into_future()).await;
        self.hears(call, outcome(result, |id| Outcome::Made(vec![id])));
    }

    async fn batch(&mut self) {
        let count = 2 + self.seed.below(20);
        let mut good = || {
            let tag = self.tag();
            Task::good(tag, &mut self.seed)
        };
        let tasks: Vec<Task> = (0..count).map(|_| good()).collect();
        let call = self.means(&tasks.iter().collect::<Vec<_>>());
        let howdah = self.howdah.clone();
        let jobs = howdah.enqueue_many(tasks).max_attempts(1000);
        let result = timeout(PATIENCE, jobs.into_future()).await;
        self.hears(call, outcome(result, |ids| Outcome::Made(ids.iter().collect())));
    }

    /// Several jobs and a row of the application, committed or rolled back.
    async fn transaction(&mut self) {
        let tasks: Vec<Task> = (0..1 + self.seed.below(4)).map(|_| self.task()).collect();
        let call = self.means(&tasks.iter().collect::<Vec<_>>());
        let (howdah, rolls_back) = (self.howdah.clone(), self.seed.chance(35));
        let work = async {
            let mut tx = howdah.pool().begin().await?;
            let mut ids = Vec::new();
            for task in &tasks {
                let insert = sqlx::query("INSERT INTO public.row_of_app (tag) VALUES ($1)").bind(&task.tag);
                insert.execute(&mut *tx).await?;
                let attempts = task.max_attempts();
                ids.push(self.options(howdah.enqueue(task.clone()), attempts).on(&mut tx).await?);
            }
            Ok::<_, howdah::Error>((tx, ids))
        };
        let (tx, ids) = match timeout(PATIENCE, work).await {
            Ok(Ok(open)) => open,
            // COMMIT was not sent.
            failed => {
                let error = failed
                    .map_or("no answer".to_owned(), |result| result.err().map_or_else(String::new, |e| e.to_string()));
                self.hears(call, Outcome::Refused(error));
                return;
            }
        };
        if rolls_back {
            self.actor.log.write(Event::RollsBack { call });
            let _ = timeout(PATIENCE, tx.rollback()).await;
            return;
        }
        let result = timeout(PATIENCE, async { Ok(tx.commit().await?) }).await;
        self.hears(call, outcome(result, |()| Outcome::Made(ids)));
    }

    /// Takes back one of its latest jobs, whatever has become of it.
    async fn cancel(&mut self) {
        let Some(&job) = self.made.get(self.seed.below(self.made.len().max(1))) else { return };
        self.actor.log.write(Event::Cancels { job: job.0 });
        let _ = timeout(PATIENCE, self.howdah.cancel(job)).await;
    }

    async fn with_a_key_for_ever(&mut self) {
        let task = self.task();
        self.send_with_key(task).await;
    }

    /// The same again, since nobody knows whether it is there.
    async fn ask_again(&mut self) {
        if let Some(task) = self.in_doubt.pop() {
            self.send_with_key(task).await;
        }
    }

    async fn send_with_key(&mut self, task: Task) {
        let call = self.means(&[&task]);
        let howdah = self.howdah.clone();
        let job = howdah.enqueue(task.clone()).max_attempts(task.max_attempts());
        let job = job.unique(Unique::key(task.tag.clone()).forever());
        // It was made by the call before if it is there: the key is its own.
        let result = timeout(PATIENCE, job.into_future()).await;
        // Now and then it has forgotten that it was answered.
        let in_doubt = self.hears(call, outcome(result, |made| Outcome::Made(vec![made.id])));
        if in_doubt || self.seed.chance(20) {
            self.in_doubt.push(task);
        }
    }

    async fn with_a_key_while_it_lives(&mut self) {
        let (task, howdah) = (self.task(), self.howdah.clone());
        // Some keys that many want at once, and some more, so that it is seen if they stay.
        let key = format!("live {}", if self.seed.chance(50) { self.seed.below(4) } else { 4 + self.seed.below(12) });
        let call = self.means(&[&task]);
        let job = howdah.enqueue(task.clone()).max_attempts(task.max_attempts()).unique(Unique::key(key));
        let result = timeout(PATIENCE, job.into_future()).await;
        self.hears(
            call,
            outcome(result, |made| if made.hit { Outcome::Hit(made.id) } else { Outcome::Made(vec![made.id]) }),
        );
    }
}
