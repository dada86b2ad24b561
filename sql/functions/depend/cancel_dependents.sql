-- howdah.cancel_dependents(first_ids, counts) -> void
-- Cancels the jobs that are to be cancelled when one of these runs of jobs fails, and what is to be cancelled because
-- of them, and so on: all at once, however long the chain is. A job whose row somebody has locked is left to the keeper, with
-- what is below it. Internal to parents_ended.
-- Writes: deferred, dependency, receipt (one for up to 500 runs), and see howdah.ended. Locks: rows of deferred, skipping what
-- others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel_dependents(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_locked bigint[] := '{}';
  v_below  bigint[];
  v_held   bigint[];
  g        record;
BEGIN
  -- What is locked cuts off what is below it. The second round finds less than the first, and has it locked.
  FOR round IN 1..2 LOOP
    WITH RECURSIVE below(id) AS (
      SELECT d.job_id FROM unnest(cancel_dependents.first_ids, cancel_dependents.counts) r(first_id, jobs), LATERAL (
        SELECT x.job_id FROM howdah.dependency x
         WHERE x.parent_id >= r.first_id AND x.parent_id < r.first_id + r.jobs AND x.on_failure = 'cancel') d
       WHERE d.job_id NOT IN (SELECT l FROM unnest(v_locked) l)
      UNION
      SELECT d.job_id FROM below b, LATERAL (
        SELECT x.job_id FROM howdah.dependency x WHERE x.parent_id = b.id AND x.on_failure = 'cancel') d
       WHERE d.job_id NOT IN (SELECT l FROM unnest(v_locked) l))
    SELECT array_agg(b.id) INTO v_below FROM below b;
    EXIT WHEN v_below IS NULL OR round = 2;
    v_held := ARRAY(SELECT d.first_id FROM howdah.deferred d WHERE d.first_id = ANY (v_below) AND d.gate = 'dependencies'
                       FOR UPDATE SKIP LOCKED);
    v_locked := ARRAY(SELECT u FROM unnest(v_below) u WHERE u NOT IN (SELECT h FROM unnest(v_held) h));
    EXIT WHEN v_locked = '{}';
  END LOOP;
  IF v_below IS NULL THEN
    RETURN;
  END IF;
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.dependency x WHERE x.job_id = ANY (v_below) FOR UPDATE SKIP LOCKED));
  WITH gone AS (
    DELETE FROM howdah.deferred d WHERE d.first_id = ANY (v_below) RETURNING d.queue_id, d.first_id, d.jobs, d.attempt)
  SELECT array_agg(o.queue_id) AS queues, array_agg(o.first_id) AS firsts, array_agg(o.jobs) AS counts, array_agg(o.attempt) AS attempts
    INTO g FROM gone o;
  -- It calls howdah.ended, which comes back here once, and finds nothing more to cancel.
  PERFORM howdah.end_runs(2, g.queues, g.firsts, g.counts, g.attempts);
END $$;
