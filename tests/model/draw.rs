//! Operations at random.
//!
//! Invariant: each history is made of one seed. Limit: three queues, two kinds, a few keys: so few that they meet.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::operations::{Change, Chore, Flaw, New, OnHit, Op, Ref, SECOND, Scope, Time, Unique, Verdict, What, When};

const KINDS: [&str; 2] = ["copy", "send"];
const DAY: Time = 86_400 * SECOND;

fn a(what: What) -> impl Strategy<Value = Ref> {
    (0..16i64).prop_map(move |id| Ref { what, id })
}

fn queue() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just("default"), 3 => Just("mail"), 2 => Just("small")]
}

/// One that is never there is named now and then.
fn named_queue() -> impl Strategy<Value = &'static str> {
    prop_oneof![40 => queue(), 1 => Just("nowhere")]
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        10 => Just(When::Now),
        3 => select(vec![0, 1, 5 * SECOND, 60 * SECOND, 10 * DAY]).prop_map(When::After),
        2 => select(vec![-SECOND, 0, 2 * SECOND]).prop_map(When::At),
        1 => Just(When::Parked),
    ]
}

fn unique() -> impl Strategy<Value = Unique> {
    let scope = prop_oneof![
        4 => Just(Scope::Live),
        2 => select(vec![5 * SECOND, 3600 * SECOND]).prop_map(Scope::Period),
        1 => Just(Scope::Forever)
    ];
    let on_hit = select(vec![OnHit::Keep, OnHit::Error, OnHit::Replace, OnHit::ReplacePayload, OnHit::ReplaceTime]);
    (select(vec!["u", "v"]), scope, on_hit).prop_map(|(key, scope, on_hit)| Unique { key, scope, on_hit })
}

fn flaw() -> impl Strategy<Value = Option<Flaw>> {
    let flaws = vec![Flaw::Priority, Flaw::Attempts, Flaw::Kind, Flaw::Option, Flaw::Delay, Flaw::DelayAndTime];
    prop_oneof![40 => Just(None), 1 => select(flaws).prop_map(Some)]
}

/// Jobs with nothing but a place in the order: what a claim by several sessions at once is about.
pub(crate) fn plain_jobs() -> impl Strategy<Value = New> {
    let rest = (when(), proptest::option::weighted(0.3, 1..4i64), proptest::option::weighted(0.4, 1..5u8));
    (select(KINDS.to_vec()), named_queue(), 0..10u8, select(vec![0, 5, 5, 9]), rest).prop_map(
        |(kind, queue, payload, priority, (when, max_attempts, many))| New {
            kind,
            queue,
            payload,
            priority,
            when,
            max_attempts,
            many,
            ttl: None,
            limits: Vec::new(),
            order: None,
            lets_pass: false,
            unique: None,
            flaw: None,
        },
    )
}

pub(crate) fn unique_jobs() -> impl Strategy<Value = New> {
    (plain_jobs(), unique()).prop_map(|(new, unique)| New { unique: Some(unique), many: None, ..new })
}

/// What a history has much of; it has next to nothing of the rest. So that things meet that are rare together.
#[derive(Debug, Clone, Copy)]
struct Taste {
    limits: bool,
    orders: bool,
    unique: bool,
    expiry: bool,
    /// Weeks pass, and what is old is thrown away.
    weeks: bool,
    /// Neighbours go through several attempts together, and some of them are told of at a time.
    crowds: bool,
}

fn taste() -> impl Strategy<Value = Taste> {
    let much = || proptest::bool::weighted(0.4);
    (much(), much(), much(), much(), proptest::bool::weighted(0.25), much()).prop_map(
        |(limits, orders, unique, expiry, weeks, crowds)| Taste { limits, orders, unique, expiry, weeks, crowds },
    )
}

fn jobs(taste: Taste) -> impl Strategy<Value = New> {
    let often = |is: bool, weight| if is { weight } else { 1e-9 };
    let ttl = proptest::option::weighted(often(taste.expiry, 0.4), select(vec![0, SECOND, 60 * SECOND]));
    let limits =
        proptest::option::weighted(often(taste.limits, 0.6), select(vec![vec!["a"], vec!["b"], vec!["b", "a"]]));
    let order = proptest::option::weighted(often(taste.orders, 0.7), select(vec!["o", "o", "p"]));
    let base = prop_oneof![4 => plain_jobs(), if taste.unique { 6 } else { 0 } => unique_jobs()];
    let crowd = proptest::bool::weighted(0.02);
    (base, ttl, limits, order, proptest::bool::ANY, flaw(), crowd).prop_map(
        |(new, ttl, limits, order, pass, flaw, crowd)| New {
            ttl,
            limits: limits.unwrap_or_default(),
            lets_pass: pass && order.is_some(),
            order,
            flaw,
            many: if crowd && new.unique.is_none() { Some(130) } else { new.many },
            ..new
        },
    )
}

pub(crate) fn claim() -> impl Strategy<Value = Op> {
    let one = (queue(), 1..6i64).prop_map(|one| vec![one]);
    let queues = prop_oneof![5 => one, 1 => (1..4i64, 1..4i64).prop_map(|(n, m)| vec![("mail", n), ("default", m)])];
    let kind = prop_oneof![4 => Just(None), 1 => select(KINDS.to_vec()).prop_map(Some)];
    (a(What::Worker), queues, kind).prop_map(|(worker, queues, kind)| Op::Claim { worker, queues, kind })
}

/// What a worker says of jobs that it holds, or held.
pub(crate) fn settle() -> impl Strategy<Value = Op> {
    let some = || vec(a(What::Held), 1..3);
    let all_or_some = || prop_oneof![1 => Just(None), 2 => some().prop_map(Some)];
    let verdict = prop_oneof![
        4 => Just(Verdict::Retry),
        1 => select(vec![Verdict::Discard, Verdict::Cancel, Verdict::Snooze])
    ];
    let delay = proptest::option::weighted(0.5, select(vec![0, SECOND, 3600 * SECOND]));
    let wrong_by = prop_oneof![6 => Just(0), 1 => select(vec![-1, 1])];
    prop_oneof![
        3 => (a(What::Lease), all_or_some()).prop_map(|(lease, jobs)| Op::Complete { lease, jobs }),
        2 => (a(What::Lease), wrong_by).prop_map(|(lease, wrong_by)| Op::CompleteLease { lease, wrong_by, told: 0 }),
        2 => (a(What::Lease), a(What::Held), proptest::bool::weighted(0.2))
            .prop_map(|(lease, job, cancelled)| Op::EndIn { lease, job, cancelled }),
        2 => (a(What::Lease), all_or_some()).prop_map(|(lease, jobs)| Op::Release { lease, jobs }),
        6 => (a(What::Lease), some(), verdict, delay)
            .prop_map(|(lease, jobs, verdict, delay)| Op::Fail { lease, jobs, verdict, delay }),
        1 => (a(What::Lease), a(What::Held)).prop_map(|(lease, job)| Op::Holds { lease, job }),
    ]
}

/// Neighbours that are claimed together, of which some fail, and which are claimed together again.
fn crowd(taste: Taste) -> impl Strategy<Value = Vec<Op>> {
    let last = Ref { what: What::Lease, id: 0 };
    let some = || {
        let several = subsequence((0..6).collect::<Vec<i64>>(), 1..5);
        several.prop_map(|ids| ids.into_iter().map(|id| Ref { what: What::Held, id }).collect::<Vec<_>>())
    };
    let new = (jobs(taste), queue(), 4..8u8).prop_map(|(new, queue, many)| New {
        many: if new.unique.is_some() { None } else { Some(many) },
        when: When::Now,
        queue,
        ..new
    });
    let fail = move |jobs| Op::Fail { lease: last, jobs, verdict: Verdict::Retry, delay: Some(0) };
    let complete = prop_oneof![1 => Just(None), 1 => some().prop_map(Some)];
    let worker = (0..16i64).prop_map(|id| Ref { what: What::Worker, id });
    (new, worker, some(), complete).prop_map(move |(new, worker, failed, completed)| {
        let claim = Op::Claim { worker, queues: vec![(new.queue, 8)], kind: None };
        vec![
            Op::Enqueue(new),
            claim.clone(),
            fail(failed),
            Op::Release { lease: last, jobs: None },
            Op::Keep { worker, sweep: true },
            claim,
            Op::Complete { lease: last, jobs: completed },
        ]
    })
}

/// What people and applications do to one job.
pub(crate) fn decide() -> impl Strategy<Value = Op> {
    let change = prop_oneof![
        (0..10u8).prop_map(Change::Payload),
        select(vec![0, 5, 9, 11]).prop_map(Change::Priority),
        named_queue().prop_map(Change::Queue),
        (1..4i64).prop_map(Change::Attempts),
    ];
    prop_oneof![
        3 => a(What::Job).prop_map(Op::Cancel),
        2 => a(What::Job).prop_map(Op::Retry),
        2 => a(What::Dead).prop_map(Op::Retry),
        3 => (a(What::Job), when()).prop_map(|(job, when)| Op::Reschedule { job, when }),
        3 => (a(What::Job), change).prop_map(|(job, change)| Op::Change { job, change }),
        2 => a(What::Job).prop_map(Op::Delete),
        1 => a(What::Job).prop_map(Op::Isolate),
    ]
}

fn limit() -> impl Strategy<Value = Op> {
    let which = vec![("queue", "default"), ("kind", "copy"), ("key", "a"), ("key", "*"), ("key", "b")];
    let most = prop_oneof![2 => Just(None), 4 => (1..3i64).prop_map(Some), 1 => Just(Some(0))];
    (select(which), most).prop_map(|((scope, name), most)| Op::Limit { scope, name, most })
}

fn operate(taste: Taste) -> impl Strategy<Value = Op> {
    let states = vec!["completed", "cancelled", "expired", "dead"];
    let purge = (select(states), select(vec![0, SECOND, 3600 * SECOND]), proptest::option::of(queue()));
    prop_oneof![
        2 => purge.prop_map(|(state, older, queue)| Op::Purge { state, older, queue }),
        1 => named_queue().prop_map(Op::Pause),
        2 => named_queue().prop_map(Op::Resume),
        if taste.limits { 14 } else { 0 } => limit(),
    ]
}

/// Time goes on, and chores are done.
fn keep(taste: Taste) -> impl Strategy<Value = Op> {
    // What comes next, a retry, a dead worker, and what is kept no longer.
    let mut ahead = vec![1, SECOND, SECOND, 5 * SECOND, 15 * SECOND, 61 * SECOND, 2 * 3600 * SECOND];
    ahead.extend(std::iter::repeat_n(20 * DAY, if taste.weeks { 14 } else { 0 }));
    prop_oneof![
        4 => select(ahead).prop_map(Op::Advance),
        4 => (a(What::Worker), proptest::bool::weighted(0.8)).prop_map(|(worker, sweep)| Op::Keep { worker, sweep }),
        if taste.weeks { 8 } else { 1 } => select(vec![Chore::Turn, Chore::Rotate, Chore::Rotate]).prop_map(Op::Chore),
    ]
}

fn worker(taste: Taste) -> impl Strategy<Value = Op> {
    prop_oneof![
        // Weeks are too long for any of them.
        if taste.weeks { 12 } else { 2 } => select(vec![20 * SECOND, 60 * SECOND]).prop_map(|lease| Op::StartWorker { lease }),
        1 => a(What::Worker).prop_map(Op::StopWorker),
        4 => a(What::Worker).prop_map(Op::Heartbeat),
    ]
}

fn operation(taste: Taste) -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => jobs(taste).prop_map(Op::Enqueue),
        8 => claim(),
        9 => settle(),
        6 => decide(),
        if taste.limits { 4 } else { 1 } => operate(taste),
        5 => keep(taste),
        if taste.weeks { 6 } else { 3 } => worker(taste),
    ]
}

/// Any operations.
pub(crate) fn history() -> impl Strategy<Value = Vec<Op>> {
    taste().prop_flat_map(|taste| {
        let one = operation(taste).prop_map(|op| vec![op]);
        let several = prop_oneof![40 => one, if taste.crowds { 4 } else { 0 } => crowd(taste)];
        vec(several, 30..90).prop_map(|ops| ops.concat())
    })
}
