-- howdah.complete_leases(lease_ids, jobs, run_ms) -> setof bigint
-- Completes every job that is left in these leases: the worker's fast path, one statement for thousands.
--   jobs    how many jobs each of the leases held
--   run_ms  how long each job ran: of the first lease in the order claimed, then of the second, ...
-- Returns the leases that were still held; whatever is missing was lost, and its jobs are with others.
-- Writes: lease (deletes), receipt. Locks: lease rows, against a rescue. Errors: none.
-- Cost: one delete and one insert for each lease, however many jobs it held.
CREATE OR REPLACE FUNCTION howdah.complete_leases(lease_ids bigint[], jobs integer[], run_ms integer[])
RETURNS SETOF bigint LANGUAGE sql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
  WITH told AS MATERIALIZED (
    SELECT u.id, u.jobs, sum(u.jobs) OVER (ORDER BY u.n) AS ends FROM unnest(lease_ids, jobs) WITH ORDINALITY u(id, jobs, n)),
  gone AS (
    DELETE FROM howdah.lease l USING told t WHERE (l.id & 3) = (t.id & 3) AND l.id = t.id RETURNING l.*, t.ends, t.jobs),
  written AS (
    INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
    SELECT r.slot, 1, g.queue_id, g.worker_id, howdah.now(), g.claimed_at,
           (SELECT int8range(min(f), max(f) + 128) FROM unnest(g.first_ids) f), g.first_ids, g.counts, g.attempts,
           run_ms[g.ends - g.jobs + 1 : g.ends]
      FROM gone g, howdah.ring r WHERE r.name = 'history')
  SELECT id FROM gone
$$;
