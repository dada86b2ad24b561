-- howdah.complete_leases(lease_ids, jobs, run_ms, result_leases, result_jobs, results) -> setof bigint
-- Completes every job that is left in these leases: the worker's fast path, one statement for thousands.
--   jobs    how many jobs each of the leases held
--   run_ms  how long each job ran: of the first lease in the order claimed, then of the second, ...
--   result_leases, result_jobs, results  what some of the jobs returned, and whose jobs they are; may be NULL
-- Returns the leases whose jobs have all ended so; of one that is missing, all or some jobs are with others (what was left
-- in it is completed).
-- Writes: lease (deletes), receipt, result; and see howdah.ended. Locks: lease rows, against a rescue; waits for a
-- complete_in that is open.
-- Errors: HD012 the transaction is not READ COMMITTED.
-- Cost: one lock, one delete and one insert for each lease, however many jobs it held.
CREATE OR REPLACE FUNCTION howdah.complete_leases(lease_ids bigint[], jobs integer[], run_ms integer[],
  result_leases bigint[] DEFAULT NULL, result_jobs bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_mixed bigint[];
BEGIN
  -- Asked here and not only there: a call of a function is felt in a flush of one job.
  IF current_setting('transaction_isolation') <> 'read committed' THEN
    PERFORM howdah.must_read_committed();
  END IF;
  -- Lock first and look later: the statement after this one sees what a complete_in has committed meanwhile.
  -- A lease that holds fewer jobs than were told has lost some of them to others.
  SELECT array_agg(k.id) FILTER (WHERE k.jobs <> u.jobs) INTO v_mixed
    FROM (SELECT l.id, (SELECT sum(c) FROM unnest(l.counts) c) AS jobs
            FROM howdah.lease l WHERE l.id = ANY (complete_leases.lease_ids) FOR UPDATE) k
    JOIN unnest(complete_leases.lease_ids, complete_leases.jobs) u(id, jobs) ON u.id = k.id;
  v_mixed := v_mixed || (SELECT array_agg(DISTINCT s.lease_id) FROM howdah.settled s WHERE s.lease_id = ANY (complete_leases.lease_ids));
  RETURN QUERY
    WITH told AS (
      SELECT u.id, u.jobs, sum(u.jobs) OVER (ORDER BY u.n) AS ends
        FROM unnest(complete_leases.lease_ids, complete_leases.jobs) WITH ORDINALITY u(id, jobs, n)),
    gone AS (
      DELETE FROM howdah.lease l
       WHERE l.id = ANY (complete_leases.lease_ids) AND (v_mixed IS NULL OR l.id <> ALL (v_mixed)) RETURNING l.*),
    written AS (
      INSERT INTO howdah.receipt (slot, outcome, queue_id, worker_id, at, claimed_at, span, first_ids, counts, attempts, run_ms)
      SELECT r.slot, 1, g.queue_id, g.worker_id, howdah.now(), g.claimed_at,
             (SELECT int8range(min(f), max(f) + 128) FROM unnest(g.first_ids) f), g.first_ids, g.counts, g.attempts,
             complete_leases.run_ms[t.ends - t.jobs + 1 : t.ends]
        FROM gone g JOIN told t ON t.id = g.id, howdah.ring r WHERE r.name = 'history'),
    kept AS (
      INSERT INTO howdah.result (slot, job_id, at, result)
      SELECT r.slot, u.job_id, howdah.now(), u.result
        FROM unnest(complete_leases.result_leases, complete_leases.result_jobs, complete_leases.results) u(lease_id, job_id, result)
        JOIN gone g ON g.id = u.lease_id, howdah.ring r WHERE r.name = 'history' AND u.result IS NOT NULL),
    hook AS (
      SELECT howdah.ended(array_agg(u.first_id), array_agg(u.jobs)), howdah.wake_limited(array_agg(DISTINCT g.queue_id))
        FROM gone g, unnest(g.first_ids, g.counts) u(first_id, jobs))
    SELECT g.id FROM gone g, hook;
  IF EXISTS (SELECT FROM howdah.slot s WHERE s.lease_id = ANY (complete_leases.lease_ids)) THEN
    PERFORM howdah.free_slots(ARRAY(SELECT u FROM unnest(complete_leases.lease_ids) u WHERE v_mixed IS NULL OR u <> ALL (v_mixed)));
  END IF;
  IF v_mixed IS NULL THEN
    RETURN;
  END IF;
  -- Leases of which a complete_in has settled a part, or a rescue has taken one: only the rest is left to complete.
  RETURN QUERY
    SELECT l.id FROM howdah.lease l JOIN unnest(complete_leases.lease_ids, complete_leases.jobs) u(id, jobs) ON u.id = l.id
     WHERE l.id = ANY (v_mixed) AND (
      -- With the results of this lease alone: another one may have held the same job before.
      SELECT count(*) FROM (
          SELECT array_agg(n.job_id) AS jobs, array_agg(n.result) AS results
            FROM unnest(complete_leases.result_leases, complete_leases.result_jobs, complete_leases.results) n(lease_id, job_id, result)
           WHERE n.lease_id = l.id) k,
        LATERAL howdah.complete(l.id, NULL, NULL, k.jobs, k.results))
         = u.jobs - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id);
END $$;
