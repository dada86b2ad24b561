-- howdah.wait_for(job_ids, ttl_ms) -> (job_id, state, result, reason)
-- Says that somebody waits for jobs, and which of them have ended: completed with its result, cancelled, expired, or dead
-- with its reason. A job that does not exist (any more) is returned with the state NULL.
-- How to wait: LISTEN on the channel howdah.ended, whose messages are lists of ids; call this outside of a transaction;
-- then again at each message and every second, since a job that ends in the same moment may not see the caller.
--   ttl_ms  for how long the caller is believed to wait if it does not call again; 1000 to 3600000
-- Writes: waiter, for jobs that have not ended. Errors: HD002 invalid argument.
-- Cost: one row for each job that is waited for. Nothing for the others.
CREATE OR REPLACE FUNCTION howdah.wait_for(job_ids bigint[], ttl_ms integer DEFAULT 30000)
RETURNS TABLE (job_id bigint, state text, result jsonb, reason text) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now  timestamptz := howdah.now();
  v_ttl  interval := make_interval(secs => wait_for.ttl_ms / 1000.0);
  v_over bigint[] := '{}';
  v_id   bigint;
BEGIN
  IF wait_for.job_ids IS NULL OR cardinality(wait_for.job_ids) > 100000 THEN
    PERFORM howdah.option_refused('job_ids', 'must be at most 100000 ids');
  END IF;
  IF wait_for.ttl_ms IS NULL OR wait_for.ttl_ms NOT BETWEEN 1000 AND 3600000 THEN
    PERFORM howdah.option_refused('ttl_ms', 'must be 1000 to 3600000, not ' || coalesce(wait_for.ttl_ms::text, 'NULL'));
  END IF;
  FOREACH v_id IN ARRAY ARRAY(
    SELECT i.id FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id) WHERE u.id IS NOT NULL) i
      LEFT JOIN howdah.states_of(wait_for.job_ids) s ON s.job_id = i.id
     WHERE s.state IS NULL OR s.state <> ALL ('{scheduled,blocked,ready,running}'))
  LOOP
    -- One by one: joined with others, the view would be made of all jobs first.
    SELECT v.id, v.state, v.result, v.reason INTO job_id, state, result, reason FROM howdah.jobs v WHERE v.id = v_id;
    -- It may have been sent again since.
    CONTINUE WHEN state IN ('scheduled', 'blocked', 'ready', 'running');
    job_id := v_id;
    v_over := v_over || v_id;
    RETURN NEXT;
  END LOOP;
  DELETE FROM howdah.waiter w WHERE w.job_id = ANY (v_over);
  INSERT INTO howdah.waiter (job_id, expires_at)
  SELECT i.id, v_now + v_ttl FROM (SELECT DISTINCT u.id FROM unnest(wait_for.job_ids) u(id)) i
   WHERE i.id IS NOT NULL AND i.id <> ALL (v_over)
     AND NOT EXISTS (SELECT FROM howdah.waiter w WHERE w.job_id = i.id AND w.expires_at > v_now + v_ttl / 2) ORDER BY i.id
  ON CONFLICT (job_id) DO UPDATE SET expires_at = greatest(waiter.expires_at, excluded.expires_at);
END $$;
