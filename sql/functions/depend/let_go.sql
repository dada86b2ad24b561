-- howdah.let_go(job_ids, near) -> bigint[]
-- Makes those of these blocked jobs ready that have nothing left to wait for; one that is due later is scheduled; and one that is
-- the end of a workflow ends, if nothing of that has failed: else the keeper ends it, see end_failed.
--   near  a parent that has just ended: its neighbours are asked first, or a job with a thousand parents would have each of
--         them walk over the dead rows of those before
-- Returns those of which that cannot be known now: other parents of theirs are ending in transactions that are not over, or
-- somebody has their row locked. Internal.
-- Two who end the last two parents of a job at the same moment each see the other's row of howdah.dependency. But xmax says
-- that it is being deleted, and one of them looks after the other has written it. No lock is taken to find that out, so an
-- open transaction holds up nobody. After a rollback xmax stays, which costs looks of the keeper and nothing else.
-- Writes: deferred, ticket, and see end_workflows. Locks: rows of deferred, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.let_go(job_ids bigint[], near bigint DEFAULT 0) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now      timestamptz := howdah.now();
  v_unsure   bigint[];
  v_free     bigint[];
  v_locked   bigint[];
  v_ids      bigint[];
  v_ends     bigint[];
  v_later    bigint[];
  v_due      timestamptz[];
  v_made     smallint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(c.id) FILTER (WHERE c.waits), array_agg(c.id) FILTER (WHERE NOT c.waits) INTO v_unsure, v_free FROM (
    SELECT u.id, EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id) AS waits FROM unnest(let_go.job_ids) u(id)
     WHERE NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id > let_go.near AND d.xmax = 0)
       AND NOT EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id = u.id AND d.parent_id < let_go.near AND d.xmax = 0)) c;
  IF v_free IS NOT NULL THEN
    v_locked := ARRAY(SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies'
                         AND NOT EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = k.first_id) FOR UPDATE SKIP LOCKED);
    -- Whoever had them before may have given them more to wait for: a statement that begins now sees it.
    WITH gone AS (
      DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_locked) AND NOT EXISTS (SELECT FROM howdah.dependency x WHERE x.job_id = d.first_id)
      RETURNING d.first_id, d.attempt),
    due AS (
      SELECT g.first_id, g.attempt, coalesce((j.options ->> 'due_at')::timestamptz, '-infinity') AS at, coalesce(j.options ? 'ends_workflow', false) AS ends
        FROM gone g, LATERAL howdah.find_job(g.first_id) j)
    SELECT array_agg(u.first_id ORDER BY u.first_id) FILTER (WHERE u.at <= v_now AND NOT u.ends),
           array_agg(u.attempt ORDER BY u.first_id) FILTER (WHERE u.at <= v_now AND NOT u.ends),
           array_agg(u.first_id) FILTER (WHERE u.ends),
           array_agg(u.first_id) FILTER (WHERE u.at > v_now AND NOT u.ends), array_agg(u.at) FILTER (WHERE u.at > v_now AND NOT u.ends),
           array_agg(u.attempt) FILTER (WHERE u.at > v_now AND NOT u.ends)
      INTO v_ids, v_attempts, v_ends, v_later, v_due, v_made FROM due u;
    PERFORM howdah.defer(u.at, j.id, 1, j.queue_id, j.kind, j.priority, u.attempt, howdah.gates_of(j.options))
       FROM unnest(v_later, v_due, v_made) u(id, at, attempt), LATERAL howdah.find_job(u.id) j;
    PERFORM howdah.put_back(v_ids, v_attempts);
    IF v_ends IS NOT NULL THEN
      PERFORM howdah.end_workflows(v_ends);
    END IF;
    v_unsure := v_unsure || ARRAY(SELECT k.first_id FROM howdah.deferred k WHERE k.first_id = ANY (v_free) AND k.gate = 'dependencies');
  END IF;
  RETURN coalesce(v_unsure, '{}');
END $$;
