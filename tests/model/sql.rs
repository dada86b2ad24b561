//! Operations as SQL.
//!
//! Invariant: one statement for each operation, in which ids are marked, so that a script can put its own in their place.

use crate::drive::Known;
use crate::operations::{Change, Chore, Flaw, New, OnHit, Op, Ref, Scope, Time, Verdict, What, When};

/// One statement, in which ids are marked: `⟨job 128⟩`.
#[derive(Debug, Clone)]
pub(crate) struct Text(String);

impl Text {
    pub(crate) fn of(op: &Op, known: &Known) -> Self {
        Self(match op {
            Op::Enqueue(new) => enqueue(new),
            Op::StartWorker { lease } => {
                let (name, lease) = (known.workers.len(), lease / 1000);
                format!("SELECT howdah.start_worker('w{name}', {lease})")
            }
            Op::StopWorker(worker) => format!("SELECT howdah.stop_worker({})", one(*worker)),
            Op::Heartbeat(worker) => format!(
                "SELECT h.alive, h.keeper_vacant, ARRAY(SELECT unnest(h.cancelled) ORDER BY 1) FROM howdah.heartbeat({}) h",
                one(*worker)
            ),
            Op::Claim { worker, queues, kind } => claim(*worker, queues, *kind),
            Op::Complete { .. }
            | Op::CompleteLease { .. }
            | Op::EndIn { .. }
            | Op::Release { .. }
            | Op::Fail { .. } => settle(op, known),
            Op::Holds { lease, job } => format!("SELECT howdah.holds({}, {})", one(*lease), one(*job)),
            Op::Cancel(job) => format!("SELECT howdah.cancel({})", one(*job)),
            Op::Retry(job) => format!("SELECT howdah.retry({})", one(*job)),
            Op::Reschedule { job, when: at } => format!("SELECT howdah.reschedule({}{})", one(*job), when(*at)),
            Op::Change { job, change } => {
                let what = match change {
                    Change::Payload(n) => format!("payload => '{{\"n\": {n}}}'"),
                    Change::Priority(priority) => format!("priority => {priority}"),
                    Change::Queue(queue) => format!("queue => {}", name(queue)),
                    Change::Attempts(most) => format!("max_attempts => {most}"),
                };
                format!("SELECT howdah.change({}, {what})", one(*job))
            }
            Op::Delete(job) => format!("SELECT howdah.delete({})", one(*job)),
            Op::Isolate(job) => format!("SELECT howdah.isolate(ARRAY[{}]::bigint[])", one(*job)),
            Op::Purge { state, older, queue } => {
                let queue = queue.map_or("NULL".to_owned(), name);
                format!("SELECT howdah.purge('{state}', {}, {queue})", span(*older))
            }
            Op::Pause(queue) => format!("SELECT howdah.pause_queue({})", name(queue)),
            Op::Resume(queue) => format!("SELECT howdah.resume_queue({})", name(queue)),
            Op::Limit { scope, name, most } => {
                let most = most.map_or("null".to_owned(), |most| most.to_string());
                format!("SELECT howdah.set_limit('{scope}', '{name}', '{{\"max_running\": {most}}}') ->> 'max_running'")
            }
            Op::Advance(by) => {
                format!("SELECT set_config('model.now', (current_setting('model.now')::bigint + {by})::text, false)")
            }
            Op::Keep { worker, sweep } => {
                let worker = one(*worker);
                format!(
                    "SELECT array_to_string(k.rescued, ', '), k.promoted, k.next_ms
  FROM howdah.elect_keeper({worker}) t, howdah.keep({worker}, t, {sweep}, false, 1000) k"
                )
            }
            Op::Chore(Chore::Rotate) => "SELECT howdah.rotate()".to_owned(),
            Op::Chore(Chore::Turn) => "SELECT howdah.rotate_ring('ticket', 'ticket', '{0,1}', 0),
       howdah.rotate_ring('returned', 'ticket', '{2,3}', 0), howdah.rotate_ring('lease', 'lease', '{0,1,2,3}', 0)"
                .to_owned(),
        })
    }

    /// As it is done.
    pub(crate) fn plain(&self) -> String {
        self.render(|_, id| id.to_owned())
    }

    pub(crate) fn render(&self, put: impl Fn(&str, &str) -> String) -> String {
        let mut parts = self.0.split('⟨');
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (mark, rest) = part.split_once('⟩').unwrap_or_default();
            let (what, id) = mark.split_once(' ').unwrap_or_default();
            text += &put(what, id);
            text += rest;
        }
        text
    }
}

fn one(one: Ref) -> String {
    match one.what {
        What::Worker => format!("⟨worker {}⟩", one.id),
        What::Lease => format!("⟨lease {}⟩", one.id),
        What::Held | What::Job | What::Dead => format!("⟨job {}⟩", one.id),
    }
}

fn name(text: &str) -> String {
    format!("'{text}'")
}

fn span(time: Time) -> String {
    // PostgreSQL 14 takes no more of one unit than fits into 32 bits.
    format!("interval '{} seconds {} microseconds'", time / 1_000_000, time % 1_000_000)
}

fn when(when: When) -> String {
    match when {
        When::Now => String::new(),
        When::After(time) => format!(", delay => {}", span(time)),
        When::At(time) => format!(", run_at => howdah.now() + {}", span(time)),
        When::Parked => ", run_at => 'infinity'".to_owned(),
    }
}

fn options(new: &New) -> String {
    let mut options = Vec::new();
    options.extend(new.ttl.map(|ttl| format!("\"ttl_ms\": {}", ttl / 1000)));
    match new.limits.as_slice() {
        [] => {}
        [key] => options.push(format!("\"limit_key\": \"{key}\"")),
        keys => options.push(format!("\"limit_key\": {keys:?}")),
    }
    options.extend(new.order.map(|key| format!("\"order_key\": \"{key}\"")));
    options.extend(new.lets_pass.then(|| "\"order_on_failure\": \"pass\"".to_owned()));
    options.extend((new.flaw == Some(Flaw::Option)).then(|| "\"nonsense\": 1".to_owned()));
    if options.is_empty() { String::new() } else { format!(", options => '{{{}}}'", options.join(", ")) }
}

fn enqueue(new: &New) -> String {
    let kind = if new.flaw == Some(Flaw::Kind) { "" } else { new.kind };
    let priority = if new.flaw == Some(Flaw::Priority) { 10 } else { new.priority };
    let attempts = if new.flaw == Some(Flaw::Attempts) { Some(0) } else { new.max_attempts };
    let attempts = attempts.map(|most| format!(", max_attempts => {most}")).unwrap_or_default();
    let time = match new.flaw {
        Some(Flaw::Delay) => ", delay => interval '-1 second'".to_owned(),
        Some(Flaw::DelayAndTime) => ", delay => interval '1 second', run_at => howdah.now()".to_owned(),
        _ => when(new.when),
    };
    let (payload, queue, options) = (format!("'{{\"n\": {}}}'", new.payload), name(new.queue), options(new));
    let rest = format!("queue => {queue}, priority => {priority}{time}{attempts}{options}");
    match (new.unique, new.many) {
        (Some(unique), _) => {
            let (scope, period) = match unique.scope {
                Scope::Live => ("live", String::new()),
                Scope::Forever => ("forever", String::new()),
                Scope::Period(period) => ("period", format!(", period => {}", span(period))),
            };
            let on_hit = match unique.on_hit {
                OnHit::Keep => "keep",
                OnHit::Error => "error",
                OnHit::Replace => "replace",
                OnHit::ReplacePayload => "replace_payload",
                OnHit::ReplaceTime => "replace_time",
            };
            let key = name(unique.key);
            format!(
                "SELECT id, hit FROM howdah.enqueue_unique('{kind}', {payload}, key => {key}, scope => '{scope}'{period}, on_hit => '{on_hit}',
  {rest})"
            )
        }
        (None, Some(many)) => {
            format!(
                "SELECT first_id, jobs FROM howdah.enqueue_many('{kind}', array_fill({payload}::jsonb, ARRAY[{many}]), {rest})"
            )
        }
        (None, None) => format!("SELECT howdah.enqueue('{kind}', {payload}, {rest})"),
    }
}

fn claim(worker: Ref, queues: &[(&str, i64)], kind: Option<&str>) -> String {
    let kinds = kind.map(|kind| format!(", kinds => ARRAY['{kind}']")).unwrap_or_default();
    let row = "lease_id, id, kind, payload, attempt, max_attempts, priority";
    let worker = one(worker);
    match queues {
        [(queue, jobs)] => format!("SELECT 1, {row} FROM howdah.claim({worker}, {}, {jobs}{kinds})", name(queue)),
        _ => {
            let names: Vec<_> = queues.iter().map(|(queue, _)| name(queue)).collect();
            let jobs: Vec<_> = queues.iter().map(|(_, jobs)| jobs.to_string()).collect();
            let (names, jobs) = (names.join(", "), jobs.join(", "));
            format!("SELECT n, {row} FROM howdah.claim_queues({worker}, ARRAY[{names}], ARRAY[{jobs}]{kinds})")
        }
    }
}

/// How long a job ran is made of its id: see `model::settle::ran`.
fn times(jobs: &[String]) -> String {
    let times: Vec<_> = jobs.iter().map(|job| format!("{job} % 1009")).collect();
    format!("ARRAY[{}]::integer[]", times.join(", "))
}

fn settle(op: &Op, known: &Known) -> String {
    let names = |jobs: &[Ref]| jobs.iter().copied().map(one).collect::<Vec<_>>();
    let array = |jobs: &[String]| format!("ARRAY[{}]::bigint[]", jobs.join(", "));
    match op {
        Op::Complete { lease, jobs: None } => format!("SELECT * FROM howdah.complete({}) ORDER BY 1", one(*lease)),
        Op::Complete { lease, jobs: Some(jobs) } => {
            let jobs = names(jobs);
            format!("SELECT * FROM howdah.complete({}, {}, {}) ORDER BY 1", one(*lease), array(&jobs), times(&jobs))
        }
        Op::CompleteLease { lease, told, .. } => {
            let left: Vec<_> = known.left(*lease).iter().map(|id| format!("⟨job {id}⟩")).collect();
            format!(
                "SELECT * FROM howdah.complete_leases(ARRAY[{}]::bigint[], ARRAY[{told}], {})",
                one(*lease),
                times(&left)
            )
        }
        Op::EndIn { lease, job, cancelled } => {
            let how = if *cancelled { "cancel_in" } else { "complete_in" };
            let (lease, job) = (one(*lease), one(*job));
            format!("SELECT howdah.{how}({lease}, {job}, ({job} % 1009)::integer)")
        }
        Op::Release { lease, jobs } => {
            let jobs = jobs.as_ref().map(|jobs| format!(", {}", array(&names(jobs)))).unwrap_or_default();
            format!("SELECT * FROM howdah.release({}{jobs}) ORDER BY 1", one(*lease))
        }
        Op::Fail { lease, jobs, verdict, delay } => {
            let verdict = match verdict {
                Verdict::Retry => "retry",
                Verdict::Discard => "discard",
                Verdict::Cancel => "cancel",
                Verdict::Snooze => "snooze",
            };
            let jobs = names(jobs);
            let all = |value: String| format!("array_fill({value}, ARRAY[{}])", jobs.len());
            let delay = delay
                .map(|delay| format!(", delay_ms => {}", all(format!("{}::bigint", delay / 1000))))
                .unwrap_or_default();
            let messages: Vec<_> = jobs.iter().map(|job| format!("'m' || {job} % 1009")).collect();
            format!(
                "SELECT job_id, state FROM howdah.fail({}, {}, {}, {}, ARRAY[{}], run_ms => {}{delay}) ORDER BY 1",
                one(*lease),
                array(&jobs),
                all(format!("'{verdict}'::text")),
                all("'boom'::text".to_owned()),
                messages.join(", "),
                times(&jobs)
            )
        }
        _ => String::new(),
    }
}
