-- howdah.ended_slowly(first_ids, counts, died) -> void
-- What must be done for jobs that have ended and had more than a payload: frees the unique keys that last as long as
-- their jobs, forgets when they would have expired and, unless they died, how far they had come, notifies who waits. Internal to howdah.ended.
-- Writes: unique_key, expiry, progress, waiter, and see end_steps and leave_orders. Locks: those rows, in order of the ids.
-- Notifies: howdah.ended with up to 400 ids a message, because a message has less than 8000 bytes.
CREATE OR REPLACE FUNCTION howdah.ended_slowly(first_ids bigint[], counts smallint[], died boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off
  SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off AS $$
DECLARE
  v_waited bigint[];
BEGIN
  -- Whoever has a key locked means to take it over, or to look at it: nobody who ends jobs waits for that. A key that is
  -- left behind so is free all the same, see take_key and take_keys_again.
  DELETE FROM howdah.unique_key k WHERE k.ctid = ANY (ARRAY(
    SELECT u.ctid FROM unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs), LATERAL (
      SELECT x.ctid FROM howdah.unique_key x
       WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs AND x.scope = 'live' FOR UPDATE SKIP LOCKED) u));
  DELETE FROM howdah.expiry e USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs;
  IF NOT ended_slowly.died THEN
    DELETE FROM howdah.progress p USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
     WHERE p.job_id >= r.first_id AND p.job_id < r.first_id + r.jobs;
  END IF;
  PERFORM howdah.leave_orders(ended_slowly.first_ids, ended_slowly.counts);
  PERFORM howdah.end_steps(ended_slowly.first_ids, ended_slowly.counts, ended_slowly.died);
  WITH gone AS (
    DELETE FROM howdah.waiter w WHERE w.job_id = ANY (ARRAY(
      SELECT u.job_id FROM unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs), LATERAL (
        SELECT x.job_id FROM howdah.waiter x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs FOR UPDATE SKIP LOCKED) u))
    RETURNING w.job_id)
  SELECT array_agg(g.job_id ORDER BY g.job_id) INTO v_waited FROM gone g;
  PERFORM pg_notify('howdah.ended', string_agg(w.id::text, ','))
     FROM unnest(v_waited) WITH ORDINALITY w(id, n) GROUP BY (w.n - 1) / 400;
END $$;
