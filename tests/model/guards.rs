//! Guards of the SQL which the model must notice to be missing.
//!
//! Invariant: each of them alone makes a difference that can be seen. Limit: guards that are missed by rare histories only,
//! guards that are there twice (a key that is left behind is free all the same), and those against what happens at the same
//! moment, are not among them.

use howdah_tests::mutations::Mutation;

const fn guard(name: &'static str, function: &'static str, from: &'static str, to: &'static str) -> Mutation {
    Mutation { name, function, from, to }
}

pub(crate) const GUARDS: &[Mutation] = &[
    guard(
        "the fence: what was told leaves the lease",
        "settle/take_from_lease",
        "  IF v_firsts = '{}' THEN",
        "  IF take_from_lease.job_ids IS NOT NULL THEN NULL; ELSIF v_firsts = '{}' THEN",
    ),
    guard(
        "the fence: what was ended in a transaction is not ended again",
        "settle/take_from_lease",
        "AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = v_lease.id AND s.job_id = r.first_id + g)",
        "",
    ),
    guard("the fence of complete_in", "settle/settle_in", "  IF NOT FOUND THEN", "  IF false THEN"),
    guard(
        "a unique key is held for its period",
        "enqueue/key_is_free",
        "RETURN coalesce((key_is_free.held).expires_at <= howdah.now(), false);",
        "RETURN true;",
    ),
    guard(
        "a unique key is held while its job lives",
        "enqueue/key_is_free",
        "j.state NOT IN ('scheduled', 'blocked', 'ready', 'running')",
        "j.state NOT IN ('scheduled', 'blocked', 'ready')",
    ),
    guard(
        "an attempt counts when it begins",
        "claim/claim",
        "v_attempts := v_attempts || (t.attempt + 1)::smallint;",
        "v_attempts := v_attempts || t.attempt;",
    ),
    guard("what is released does not count", "settle/release", "(t.attempt - 1)::smallint", "t.attempt"),
    guard("the last attempt is the last", "settle/fail", "f.attempt >= f.max_attempts", "f.attempt > f.max_attempts"),
    guard(
        "the last attempt of a lost worker is the last",
        "keep/rescue_lease",
        "WHERE u.attempt < j.max_attempts AND",
        "WHERE u.attempt <= j.max_attempts AND",
    ),
    guard("nothing is early", "keep/promote", "d.due_at <= v_now", "d.due_at <= v_now + interval '1 second'"),
    guard(
        "the urgent first",
        "claim/claim",
        "(a.priority, a.first_id) < (b.priority, b.first_id)",
        "a.first_id < b.first_id",
    ),
    guard("nothing of a paused queue", "claim/claim", " AND q.paused_at IS NULL", ""),
    guard(
        "a limit counts what runs",
        "flow/room",
        "SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate;",
        "v_free := v_most;",
    ),
    guard(
        "a queue's limit counts what runs",
        "flow/room",
        "SELECT v_most - coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0) INTO v_free",
        "SELECT v_most INTO v_free",
    ),
    guard("an order is kept", "flow/is_first", "AND NOT o.passed_by", "AND NOT o.passed_by AND false"),
    guard("what failed and lets others pass does so", "flow/let_pass", "SET passed_by = true", "SET passed_by = false"),
    guard(
        "what has expired does not start",
        "claim/claim",
        "::timestamptz > v_now",
        "::timestamptz > v_now - interval '1 hour'",
    ),
    guard("a worker that is alive is not robbed", "keep/rescue", "k.lease_ms", "(k.lease_ms / 2)"),
    // Not that an old wish to cancel is none (keep/rescue_lease): in one session there is none, since whatever ends an attempt, or sends the job
    // again, takes the wish with it.
    guard("a wish to cancel is heard by those who fail", "settle/fail", "f.verdict <> 'discard'\n", "false\n"),
    guard(
        "a bound holds",
        "enqueue/make_room",
        "v_jobs + make_room.jobs > v_most",
        "v_jobs + make_room.jobs > v_most + 1",
    ),
    guard("history is kept", "keep/rotate_history", "h.left_at + v_longest < v_now", "h.left_at < v_now"),
    guard(
        "each job has its own time",
        "settle/complete",
        "array_agg(complete.run_ms[array_position(complete.job_ids, t.job_id)] ORDER BY t.job_id)",
        "complete.run_ms",
    ),
    guard(
        "an end is that of the job that ended",
        "settle/write_receipt",
        "OVER (PARTITION BY u.attempt ORDER BY u.id)",
        "OVER (ORDER BY u.id)",
    ),
];
