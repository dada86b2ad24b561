//! Histories by hand: one in which all is well, and one for each way to break a rule.

use serde_json::json;

use super::{Rule, check};
use crate::history::event::{Event, Line, Settlement};
use crate::history::state::{Cap, End, Failure, Firing, History, Hold, JobRow};

fn line(at: i64, who: &str, event: Event) -> Line {
    Line { at, who: who.into(), event }
}

fn job(id: i64, tag: &str, state: &str, attempt: i16, options: serde_json::Value) -> JobRow {
    let (queue, tag, state) = ("mixed".into(), tag.into(), state.into());
    JobRow { id, tag, queue, state, attempt, max_attempts: 3, options, born: 10 * id }
}

fn hold(lease: i64, job: i64, attempt: i16, from: i64, to: i64) -> Hold {
    Hold { lease, job, attempt, from, to: Some(to) }
}

fn began(at: i64, run: u64, lease: i64, job: i64, attempt: i16, tag: &str) -> Line {
    line(at, "worker", Event::Began { run, lease, job, attempt, tag: tag.into() })
}

fn ended(at: i64, run: u64, verdict: &str) -> Line {
    line(at, "worker", Event::Ended { run, verdict: verdict.into() })
}

fn intends(at: i64, call: u64, tags: &[&str]) -> Line {
    line(at, "producer", Event::Intends { call, tags: tags.iter().map(|&tag| tag.into()).collect() })
}

fn acked(at: i64, call: u64, ids: &[i64]) -> Line {
    line(at, "producer", Event::Acked { call, ids: ids.into() })
}

/// Job 1 fails once and completes, and 2 comes after it in an order, a limit and a dependency. Job 3 completes with an effect
/// by a worker that speaks SQL. What was rolled back is not there. The outcome of the call 3 was unknown, and it was asked
/// again.
fn well() -> History {
    let gates = json!({"order_key": "o", "limit_key": "k", "depends_on": [1], "unique": {"key": "u", "scope": "live"}});
    let first = json!({"order_key": "o", "limit_key": ["k", "other"], "unique": {"key": "u", "scope": "live"}});
    let mut second = job(2, "b", "completed", 1, gates);
    second.born = 160;
    let settles = Event::Settles { call: 1, lease: 80, jobs: vec![4], how: Settlement::Complete };
    History {
        lines: vec![
            intends(1, 1, &["a"]),
            acked(12, 1, &[1]),
            intends(13, 2, &["b"]),
            acked(170, 2, &[2]),
            intends(20, 3, &["c-effect"]),
            intends(30, 4, &["c-effect"]),
            acked(31, 4, &[3]),
            intends(32, 5, &["r", "s"]),
            line(33, "producer", Event::RollsBack { call: 5 }),
            intends(34, 6, &["d"]),
            acked(35, 6, &[4]),
            began(101, 1, 50, 1, 1, "a"),
            ended(102, 1, "retry"),
            began(121, 2, 60, 1, 2, "a"),
            ended(122, 2, "ok"),
            began(181, 3, 70, 2, 1, "b"),
            ended(182, 3, "ok"),
            began(201, 4, 80, 3, 1, "c-effect"),
            ended(204, 4, "in_tx"),
            began(202, 5, 80, 4, 1, "d"),
            ended(203, 5, "ok"),
            line(205, "sql-worker", settles),
            line(209, "sql-worker", Event::Settled { call: 1, took: vec![4] }),
        ],
        jobs: vec![
            job(1, "a", "completed", 2, first),
            second,
            job(3, "c-effect", "completed", 1, json!({})),
            job(4, "d", "completed", 1, json!({"schedule": {"name": "tick"}})),
        ],
        holds: vec![
            hold(50, 1, 1, 100, 110),
            hold(60, 1, 2, 120, 150),
            hold(70, 2, 1, 180, 190),
            hold(80, 3, 1, 200, 210),
            hold(80, 4, 1, 200, 207),
        ],
        failures: vec![Failure { job: 1, attempt: 1, at: 109, kind: "error".into() }],
        ends: [(1, 150), (2, 190), (3, 203), (4, 207)].map(|(job, at)| End { job, outcome: 1, at }).into(),
        effects: vec![3],
        firings: vec![Firing { schedule: "tick".into(), due: 5, job: 4 }],
        slot_length: 10,
        caps: vec![Cap { of: "key k".into(), most: 1 }, Cap { of: "queue mixed".into(), most: 2 }],
        differences: Vec::new(),
    }
}

/// That a change of the history breaks this rule and no other.
fn breaks(rule: Rule, change: impl FnOnce(&mut History)) {
    let mut history = well();
    change(&mut history);
    history.lines.sort_by_key(|line| line.at);
    let found = check(&history);
    assert!(!found.is_empty(), "{rule:?} was not noticed");
    assert!(found.iter().all(|violation| violation.rule == rule), "{rule:?}: {found:#?}");
}

#[test]
fn when_all_is_well_nothing_is_said() {
    assert_eq!(check(&well()), []);
}

#[test]
fn what_was_acknowledged_is_there() {
    breaks(Rule::NothingIsLost, |h| h.lines.extend([intends(1, 9, &["x"]), acked(2, 9, &[9])]));
    breaks(Rule::NothingIsLost, |h| {
        h.lines.extend([intends(1, 9, &["x"]), line(2, "producer", Event::Hit { call: 9, id: 9 })]);
    });
}

#[test]
fn what_was_rolled_back_or_refused_or_never_meant_is_not_there() {
    let mut extra = job(9, "r", "completed", 1, json!({}));
    extra.tag = "x".into();
    let there = |h: &mut History| {
        h.jobs.push(extra.clone());
        h.ends.push(End { job: 9, outcome: 1, at: 400 });
        h.holds.push(hold(90, 9, 1, 390, 400));
        h.lines.extend([began(391, 9, 90, 9, 1, "x"), ended(392, 9, "ok")]);
    };
    breaks(Rule::NothingIsInvented, there);
    breaks(Rule::NothingIsInvented, |h| {
        there(h);
        h.lines.extend([intends(1, 9, &["x"]), line(2, "producer", Event::RollsBack { call: 9 })]);
    });
    breaks(Rule::NothingIsInvented, |h| {
        there(h);
        h.lines.extend([intends(1, 9, &["x"]), line(2, "producer", Event::Refused { call: 9, error: String::new() })]);
    });
    // It ran, and then its enqueue was undone.
    breaks(Rule::NothingIsInvented, |h| {
        h.holds.push(hold(90, 9, 1, 390, 400));
        h.lines.push(began(391, 9, 90, 9, 1, "x"));
    });
}

#[test]
fn jobs_of_one_call_are_there_together_and_a_job_of_a_key_once() {
    breaks(Rule::AllOrNone, |h| h.lines.push(intends(0, 3, &["c-effect", "e"])));
    breaks(Rule::MadeOnce, |h| {
        h.jobs.push(job(9, "d", "completed", 1, json!({})));
        h.jobs[3].options = json!({});
        h.firings.clear();
        h.ends.push(End { job: 9, outcome: 1, at: 400 });
        h.holds.push(hold(90, 9, 1, 390, 400));
        h.lines.extend([began(391, 9, 90, 9, 1, "d"), ended(392, 9, "ok")]);
    });
}

#[test]
fn every_job_ends_once_and_as_its_handler_said() {
    breaks(Rule::EverythingEnds, |h| {
        h.lines.push(intends(0, 9, &["x"]));
        h.jobs.push(job(9, "x", "scheduled", 0, json!({})));
    });
    breaks(Rule::EndsOnce, |h| h.ends.push(End { job: 2, outcome: 1, at: 191 }));
    breaks(Rule::EndsOnce, |h| h.jobs.push(h.jobs[1].clone()));
    breaks(Rule::EndsOnce, |h| {
        h.holds.push(hold(90, 4, 1, 300, 310));
    });
    breaks(Rule::EndsAsSaid, |h| h.lines.retain(|line| *line != ended(182, 3, "ok")));
    breaks(Rule::EndsAsSaid, |h| h.lines.retain(|line| *line != ended(102, 1, "retry")));
    let cancelled = |h: &mut History| {
        h.lines.extend([intends(0, 9, &["x"]), acked(1, 9, &[9])]);
        h.jobs.push(job(9, "x", "cancelled", 0, json!({})));
        h.ends.push(End { job: 9, outcome: 2, at: 300 });
    };
    breaks(Rule::EndsAsSaid, cancelled);
    let mut wanted = well();
    cancelled(&mut wanted);
    wanted.lines.push(line(299, "producer", Event::Cancels { job: 9 }));
    assert_eq!(check(&wanted), []);
}

#[test]
fn a_job_has_one_current_attempt_and_each_is_counted_once() {
    breaks(Rule::OneCurrentAttempt, |h| {
        h.jobs[0].options = json!({});
        h.holds[0].to = Some(121);
    });
    breaks(Rule::AttemptsAreCounted, |h| {
        h.failures.push(Failure { job: 1, attempt: 1, at: 110, kind: "worker_lost".into() });
    });
    breaks(Rule::AttemptsAreCounted, |h| h.failures.clear());
    breaks(Rule::AttemptsAreCounted, |h| h.jobs[0].max_attempts = 1);
    // The second attempt was called the first again.
    breaks(Rule::AttemptsAreCounted, |h| {
        h.holds[1].attempt = 1;
        h.lines.retain(|line| !matches!(line.event, Event::Began { run: 2, .. }));
        h.lines.push(began(121, 2, 60, 1, 1, "a"));
        h.jobs[0].attempt = 1;
    });
}

#[test]
fn a_handler_runs_only_what_was_claimed_for_it() {
    breaks(Rule::RunsOnlyWhatIsClaimed, |h| h.lines.extend([began(301, 9, 99, 4, 1, "d"), ended(302, 9, "ok")]));
    breaks(Rule::RunsOnlyWhatIsClaimed, |h| h.lines.push(began(203, 9, 80, 4, 1, "d")));
    let mut crashed = well();
    crashed.lines.extend([line(300, "nemesis", Event::Crashes), began(301, 9, 99, 4, 1, "d")]);
    assert_eq!(check(&crashed), [], "a crash may undo a claim");
}

#[test]
fn stale_answers_are_refused_and_current_ones_are_not() {
    let says = |h: &mut History, at: i64, took: &[i64]| {
        let settles = Event::Settles { call: 9, lease: 80, jobs: vec![3, 4], how: Settlement::Release };
        h.lines.extend([line(at, "x", settles), line(at + 5, "x", Event::Settled { call: 9, took: took.into() })]);
    };
    breaks(Rule::StaleIsRefused, |h| says(h, 300, &[3]));
    breaks(Rule::StaleIsRefused, |h| says(h, 204, &[4]));
    breaks(Rule::StaleIsRefused, |h| says(h, 201, &[]));
    let mut refused = well();
    says(&mut refused, 300, &[]);
    assert_eq!(check(&refused), []);
    // It was told that the job had completed, which nobody knows of.
    breaks(Rule::NothingIsLost, |h| {
        h.holds[3].to = Some(207);
        let settles = Event::Settles { call: 9, lease: 80, jobs: vec![3], how: Settlement::Complete };
        h.lines.extend([line(206, "x", settles), line(208, "x", Event::Settled { call: 9, took: vec![3] })]);
    });
}

#[test]
fn effects_happen_exactly_once() {
    breaks(Rule::EffectsOnce, |h| h.effects.push(3));
    breaks(Rule::EffectsOnce, |h| h.effects.clear());
    breaks(Rule::EffectsOnce, |h| h.effects.push(1));
    breaks(Rule::EffectsOnce, |h| h.effects.push(77));
}

#[test]
fn limits_orders_and_dependencies_hold_at_every_instant() {
    breaks(Rule::Limits, |h| h.caps.push(Cap { of: "queue mixed".into(), most: 1 }));
    breaks(Rule::Orders, |h| {
        h.jobs[1].options = json!({"order_key": "o"});
        h.jobs[1].born = 20;
        h.lines.retain(|line| *line != acked(170, 2, &[2]));
        h.lines.push(acked(21, 2, &[2]));
        h.lines.retain(|line| !matches!(line.event, Event::Began { run: 3, .. }));
        h.lines.push(began(116, 3, 70, 2, 1, "b"));
        h.holds[2] = hold(70, 2, 1, 115, 118);
        h.ends[1].at = 118;
    });
    breaks(Rule::Dependencies, |h| {
        h.jobs[1].options = json!({"depends_on": [3]});
    });
    breaks(Rule::Dependencies, |h| {
        h.jobs[1].options = json!({"depends_on": [5]});
    });
}

#[test]
fn a_unique_key_has_one_job_at_a_time() {
    breaks(Rule::UniqueKeys, |h| h.jobs[1].born = 149);
    breaks(Rule::UniqueKeys, |h| {
        for job in &mut h.jobs[..2] {
            job.options["unique"]["scope"] = json!("forever");
        }
    });
}

#[test]
fn each_slot_of_a_schedule_is_fired_once() {
    let fire = |h: &mut History, due: i64, job: i64| h.firings.push(Firing { schedule: "tick".into(), due, job });
    breaks(Rule::Schedules, |h| fire(h, 25, 1));
    breaks(Rule::Schedules, |h| fire(h, 15, 4));
    breaks(Rule::Schedules, |h| fire(h, 5, 1));
    breaks(Rule::Schedules, |h| h.firings.clear());
}

#[test]
fn what_views_say_otherwise_is_told() {
    breaks(Rule::Counters, |h| h.differences.push("job 1 is in 2 rooms".into()));
}
