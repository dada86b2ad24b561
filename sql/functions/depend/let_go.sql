-- howdah.let_go(job_ids, near) -> bigint[]
-- Makes those of these blocked jobs ready that have nothing left to wait for; one that is due later is scheduled.
--   near  a parent that has just ended: its neighbours are asked first, or a job with a thousand parents would have each of
--         them walk over the dead rows of those before
-- Returns those of which that cannot be known now: other parents of theirs are ending in transactions that are not over, or
-- somebody has their row locked. Internal.
-- Two who end the last two parents of a job at the same moment each see the other's row of howdah.dependency. But xmax says
-- that it is being deleted, and one of them looks after the other has written it. No lock is taken to find that out, so an
-- open transaction holds up nobody. After a rollback xmax stays, which costs looks of the keeper and nothing else.
-- Writes: deferred, ticket. Locks: rows of deferred, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.let_go(job_ids bigint[], near bigint DEFAULT 0) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now      timestamptz := howdah.now();
  v_unsure   bigint[];
  v_free     bigint[];
  v_ids      bigint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(c.id) FILTER (WHERE c.waits), array_agg(c.id) FILTER (WHERE NOT c.waits) INTO v_unsure, v_free FROM (
    SELECT u.id, EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id) AS waits FROM unnest(let_go.job_ids) u(id)
     WHERE NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id > let_go.near AND d.xmax = 0)
       AND NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id < let_go.near AND d.xmax = 0)) c;
  IF v_free IS NOT NULL THEN
    WITH gone AS (
      DELETE FROM howdah.deferred d WHERE d.ctid = ANY (ARRAY(
        SELECT k.ctid FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies' FOR UPDATE SKIP LOCKED))
      RETURNING d.*),
    due AS (
      SELECT g.*, (j.options ->> 'due_at')::timestamptz AS at FROM gone g, LATERAL howdah.find_job(g.first_id) j),
    later AS (
      SELECT count(howdah.defer(u.at, u.first_id, 1, u.queue_id, u.kind, u.priority, u.attempt, u.gates)) FROM due u WHERE u.at > v_now)
    SELECT array_agg(u.first_id ORDER BY u.first_id), array_agg(u.attempt ORDER BY u.first_id) INTO v_ids, v_attempts
      FROM due u, later l WHERE u.at IS NULL OR u.at <= v_now;
    PERFORM howdah.put_back(v_ids, v_attempts);
    v_unsure := v_unsure || ARRAY(SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies');
  END IF;
  RETURN coalesce(v_unsure, '{}');
END $$;
