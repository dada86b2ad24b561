//! Guards of the SQL that a run must miss when they are taken away.
//!
//! Invariant: each of them, alone, is noticed within a few runs; else nothing would hold it. Limit: what two guards hold together
//! is taken away together.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::run::Run;
use crate::mutations::Mutation;

/// How many runs, each from another number, a mutation may survive.
const TRIES: u64 = 3;

const fn mutation(name: &'static str, function: &'static str, from: &'static str, to: &'static str) -> Mutation {
    Mutation { name, function, from, to }
}

/// All of them.
pub const MUTANTS: &[Mutation] = &[
    mutation(
        "the fence of complete: whatever is said is done",
        "settle/complete",
        "FROM howdah.take_from_lease(complete.lease_id, complete.job_ids) t;",
        "FROM (SELECT u AS job_id, 1::smallint AS attempt FROM unnest(complete.job_ids) u,
               (SELECT count(*) FROM howdah.take_from_lease(complete.lease_id, complete.job_ids)) c) t;",
    ),
    mutation(
        "the fence of fail",
        "settle/fail",
        "FROM howdah.take_from_lease(fail.lease_id, fail.job_ids) t",
        "FROM (SELECT u AS job_id, 1::smallint AS attempt FROM unnest(fail.job_ids) u,
               (SELECT count(*) FROM howdah.take_from_lease(fail.lease_id, fail.job_ids)) c) t",
    ),
    mutation(
        "what complete_in has settled is not taken out of a lease",
        "settle/take_from_lease",
        "AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = v_lease.id AND s.job_id = r.first_id + g)",
        "",
    ),
    mutation(
        "a lease of which complete_in has settled a part is not completed as a whole",
        "settle/complete_leases",
        "v_mixed := v_mixed || (SELECT array_agg(DISTINCT s.lease_id) FROM howdah.settled s WHERE s.lease_id = ANY (complete_leases.lease_ids));",
        "",
    ),
    mutation(
        "complete_in refuses what was settled before",
        "settle/settle_in",
        "ON CONFLICT DO NOTHING;",
        "ON CONFLICT (lease_id, job_id) DO UPDATE SET job_id = EXCLUDED.job_id;",
    ),
    mutation(
        "claims lock what they take",
        "claim/claim",
        "ORDER BY first_id FOR UPDATE SKIP LOCKED) t;",
        "ORDER BY first_id) t;",
    ),
    mutation(
        "a claim takes a ticket away",
        "claim/claim",
        "DELETE FROM howdah.ticket WHERE slot = 0 AND ctid = ANY (v_tids0);",
        "NULL;",
    ),
    mutation(
        "an attempt is counted at its claim",
        "claim/claim",
        "(t.attempt + 1)::smallint;",
        "greatest(t.attempt, 1)::smallint;",
    ),
    mutation(
        "the attempt of a worker that was lost counts",
        "keep/rescue_lease",
        "howdah.put_back(array_agg(u.id), array_agg(u.attempt))",
        "howdah.put_back(array_agg(u.id), array_agg((u.attempt - 1)::smallint))",
    ),
    mutation(
        "the last attempt is the last",
        "settle/fail",
        "f.attempt >= f.max_attempts",
        "f.attempt > f.max_attempts + 1",
    ),
    mutation("a job that kills its workers dies", "keep/rescue_lease", "WHERE u.attempt < j.max_attempts AND", "WHERE"),
    mutation("a snooze does not count", "settle/fail", "f.attempt - (f.verdict = 'snooze')::integer", "f.attempt"),
    mutation("a release does not count", "settle/release", "(t.attempt - 1)::smallint", "t.attempt"),
    mutation(
        "a lost attempt is written down",
        "keep/rescue_lease",
        "FROM unnest(v_lost, v_attempts) u(id, attempt), howdah.ring r WHERE r.name = 'history';",
        "FROM unnest(v_lost, v_attempts) u(id, attempt), howdah.ring r WHERE false;",
    ),
    mutation(
        "a slot is taken at the gate",
        "flow/admit",
        "SELECT admit.lease_id, admit.first_id + i, g FROM generate_series(0, taken - 1) i, unnest(v_counts) g;",
        "SELECT admit.lease_id, admit.first_id + i, g FROM generate_series(0, taken - 1) i, unnest(v_counts) g WHERE false;",
    ),
    mutation(
        "a gate counts what runs",
        "flow/room",
        "SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate;",
        "SELECT v_most + 1 - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate;",
    ),
    mutation(
        "who comes to a gate is alone there",
        "flow/lock_gate",
        "IF pg_try_advisory_xact_lock(v_lock) THEN",
        "IF true THEN",
    ),
    mutation("the limit of a queue", "flow/room", "SELECT v_most - coalesce(sum(", "SELECT v_most + 1 - coalesce(sum("),
    mutation("the first of an order goes first", "flow/is_first", "RETURN NOT EXISTS", "RETURN true OR NOT EXISTS"),
    mutation(
        "one at a time of an order",
        "flow/room",
        "WHEN room.gate ^@ 'order:' THEN 1",
        "WHEN room.gate ^@ 'order:' THEN 2",
    ),
    mutation(
        "the key of a live job is not free",
        "enqueue/key_is_free",
        "IF NOT FOUND OR j.state NOT IN",
        "IF true OR j.state NOT IN",
    ),
    mutation(
        "a key for ever is never free",
        "enqueue/key_is_free",
        "RETURN coalesce((key_is_free.held).expires_at <= howdah.now(), false);",
        "RETURN true;",
    ),
    mutation(
        "the unique index",
        "enqueue/take_key",
        "END $$;",
        "END $$; ALTER TABLE howdah.unique_key DROP CONSTRAINT unique_key_pkey;",
    ),
    mutation(
        "keys go with their jobs",
        "settle/ended_slowly",
        "DELETE FROM howdah.unique_key k WHERE",
        "DELETE FROM howdah.unique_key k WHERE false AND",
    ),
    mutation(
        "a job waits for all of its parents",
        "depend/let_go",
        "IF v_free IS NOT NULL THEN",
        "DELETE FROM howdah.dependency d WHERE d.job_id = ANY (let_go.job_ids);
         v_free := let_go.job_ids;
         IF v_free IS NOT NULL THEN",
    ),
    mutation(
        "who waits for a job that failed does not run",
        "depend/parents_ended",
        "IF parents_ended.failed THEN",
        "parents_ended.failed := false; IF false THEN",
    ),
    mutation(
        "who waits hears of the end",
        "settle/ended",
        "IF EXISTS (SELECT FROM howdah.dependency d WHERE d.parent_id BETWEEN v_first AND v_last) THEN",
        "IF false THEN",
    ),
    mutation(
        "no slot is left out",
        "cron/fire_schedule",
        "after_at = fire_schedule.through,",
        "after_at = fire_schedule.through + interval '1 second',",
    ),
    mutation(
        "the jobs of the dead are given to others",
        "keep/rescue",
        "IF w.ended OR w.overdue THEN",
        "IF false THEN",
    ),
];

/// What became of one mutation.
#[derive(Debug, Clone)]
pub struct Noticed {
    /// Which one.
    pub name: &'static str,
    /// In which try, and the first thing that was said; none: it survived.
    pub by: Option<(u64, String)>,
}

/// Tries one.
///
/// # Errors
/// What the machinery says; that a mutated server cannot do something counts as noticed.
pub async fn try_mutant(mutant: Mutation, program: &Path, seed: u64) -> Result<Noticed> {
    for number in 0..TRIES {
        let short = Run::short(program.to_owned(), seed + number);
        let run =
            Run { mutations: vec![mutant], load: Duration::from_secs(8), patience: Duration::from_secs(20), ..short };
        let said = run.play().await?.violations.first().map(ToString::to_string);
        if said.is_some() {
            return Ok(Noticed { name: mutant.name, by: said.map(|what| (number + 1, what)) });
        }
    }
    Ok(Noticed { name: mutant.name, by: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutant_changes_its_function() {
        for mutant in MUTANTS {
            mutant.sql().unwrap();
        }
    }
}
