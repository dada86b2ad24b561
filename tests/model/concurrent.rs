//! Several sessions at once: what they were answered, and whether one after the other in some order would have been answered so.
//!
//! Invariant: an order is legal if each call comes after those that were over before it began, and the model answers all of them
//! as the queue did and ends as the queue did. Limit: histories of a dozen calls; jobs without gates, which pass to whoever is
//! there; the clock stands still.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use howdah_tests::Session;
use proptest::collection::vec;
use proptest::prelude::*;
use tokio::sync::Barrier;

use crate::draw::{claim, decide, plain_jobs, settle, unique_jobs};
use crate::drive::{Known, call, seen};
use crate::model::{Answer, Beside, Model};
use crate::operations::Op;
use crate::sql::Text;

/// One of several sessions does this; whether its transaction stays open for a moment.
pub(crate) type Turn = (Op, bool);

/// What is done before, and what each session does then.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) before: Vec<Op>,
    pub(crate) sessions: Vec<Vec<Turn>>,
}

fn turn() -> impl Strategy<Value = Turn> {
    let op = prop_oneof![
        2 => plain_jobs().prop_map(Op::Enqueue),
        3 => unique_jobs().prop_map(Op::Enqueue),
        6 => claim(),
        6 => settle().prop_map(well_told),
        5 => decide(),
        1 => Just(Op::Pause("mail")),
        1 => Just(Op::Resume("mail")),
    ];
    (op, proptest::bool::weighted(0.4))
}

/// A wrong number of jobs might be right by the time that it is told, with the times of other jobs.
fn well_told(mut op: Op) -> Op {
    if let Op::CompleteLease { wrong_by, .. } = &mut op {
        *wrong_by = 0;
    }
    op
}

pub(crate) fn plan() -> impl Strategy<Value = Plan> {
    let worker = Just(Op::StartWorker { lease: 60_000_000 });
    let jobs = prop_oneof![3 => plain_jobs(), 2 => unique_jobs()].prop_map(Op::Enqueue);
    let before = (vec(worker, 1..3), vec(jobs, 1..5), vec(claim(), 0..3));
    let before = before.prop_map(|(workers, jobs, claims)| workers.into_iter().chain(jobs).chain(claims).collect());
    (before, vec(vec(turn(), 4), 3)).prop_map(|(before, sessions)| Plan { before, sessions })
}

/// A call, when it began, and when it was answered.
#[derive(Debug, Clone)]
struct Event {
    session: usize,
    op: Op,
    sql: String,
    answer: Answer,
    began: Instant,
    over: Instant,
}

impl Event {
    fn overlaps(&self, other: &Self) -> bool {
        self.began < other.over && other.began < self.over
    }
}

/// What one session does, one call after the other.
async fn play(
    n: usize,
    mut session: Session,
    turns: Vec<Turn>,
    known: Arc<Mutex<Known>>,
    start: Arc<Barrier>,
) -> Result<(Session, Vec<Event>)> {
    let mut events = Vec::new();
    start.wait().await;
    for (op, lingers) in turns {
        let (op, sql) = {
            let known = known.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let op = known.resolve(&op);
            let sql = Text::of(&op, &known).plain();
            (op, sql)
        };
        let began = Instant::now();
        if lingers {
            session.run("BEGIN").await?;
        }
        let answer = call(&mut session, &sql).await?;
        if lingers {
            tokio::time::sleep(Duration::from_millis(1)).await;
            session.run(if answer.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        }
        known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).learn(&op, &answer);
        events.push(Event { session: n, op, sql, answer, began, over: Instant::now() });
    }
    Ok((session, events))
}

/// Does a plan, after what went before it; fails if no order explains what was answered and is seen at the end.
pub(crate) async fn run(sessions: &mut Vec<Session>, plan: &Plan, (model, known): (Model, Known)) -> Result<()> {
    let (known, start) = (Arc::new(Mutex::new(known)), Arc::new(Barrier::new(plan.sessions.len())));
    let played = plan.sessions.iter().enumerate().map(|(n, turns)| {
        let session = sessions.remove(0);
        tokio::spawn(play(n, session, turns.clone(), Arc::clone(&known), Arc::clone(&start)))
    });
    let mut events = Vec::new();
    for played in played.collect::<Vec<_>>() {
        let (session, its) = played.await??;
        sessions.push(session);
        events.extend(its);
    }
    pauses_wait_for_claims(&mut events);
    let end = seen(&mut sessions[0], "TABLE model_seen").await?;
    let mut search = Search { events: &events, end: &end, seen: HashSet::new(), best: (0, String::new()) };
    if search.explains(0, &model) {
        return Ok(());
    }
    let best = search.best;
    events.sort_by_key(|event| event.began);
    let mut told = format!("no order explains this; the best one goes on for {} calls:\n{}\n", best.0, best.1);
    for event in &events {
        let since = |at: Instant| at.duration_since(events[0].began).as_micros();
        let (began, over) = (since(event.began), since(event.over));
        let _ = writeln!(
            told,
            "{began:6} to {over:6} us, session {}: {}\n    {:?}",
            event.session, event.sql, event.answer
        );
    }
    bail!("{told}at the end:\n  {}", end.join("\n  "))
}

/// A claim that has begun may take jobs of a queue that is paused meanwhile, and nobody waits for it: a pause is over for whoever
/// comes afterwards when those claims are.
fn pauses_wait_for_claims(events: &mut [Event]) {
    let is_claim = |op: &Op| matches!(op, Op::Claim { .. });
    let claims: Vec<Event> = events.iter().filter(|event| is_claim(&event.op)).cloned().collect();
    for pause in events.iter_mut().filter(|event| matches!(event.op, Op::Pause(_))) {
        pause.over =
            claims.iter().filter(|claim| claim.overlaps(pause)).map(|claim| claim.over).fold(pause.over, Instant::max);
    }
}

/// A search for a legal order, which comes to each pair of calls that are done and what they led to once.
struct Search<'a> {
    events: &'a [Event],
    end: &'a [String],
    seen: HashSet<(u64, Model)>,
    /// How many calls the best order explains, and what was wrong then.
    best: (u32, String),
}

impl Search<'_> {
    /// Whether the calls that are not done yet can be done in some order; `done` has a bit for each.
    fn explains(&mut self, done: u64, model: &Model) -> bool {
        if !self.seen.insert((done, model.clone())) {
            return false;
        }
        if done.count_ones() as usize == self.events.len() {
            return match model.clone().observe(self.end) {
                Ok(()) => true,
                Err(wrong) => self.note(done, &wrong),
            };
        }
        let left: Vec<usize> = (0..self.events.len()).filter(|n| done & (1 << n) == 0).collect();
        for &n in &left {
            let event = &self.events[n];
            if left.iter().any(|&other| self.events[other].over < event.began) {
                continue;
            }
            let crowded = self.events.iter().enumerate().any(|(m, other)| m != n && event.overlaps(other));
            let ways: Vec<Beside> =
                if crowded { model.ways_beside_others(&event.op).collect() } else { vec![Beside::Nobody] };
            for beside in ways {
                let mut next = model.clone();
                match next.step(&event.op, &event.answer, beside) {
                    Ok(()) if self.explains(done | 1 << n, &next) => return true,
                    Ok(()) => {}
                    Err(wrong) => drop(self.note(done, &format!("{}\n  {wrong}", event.sql))),
                }
            }
        }
        false
    }

    fn note(&mut self, done: u64, wrong: &str) -> bool {
        if done.count_ones() >= self.best.0 {
            self.best = (done.count_ones(), wrong.to_owned());
        }
        false
    }
}
