-- howdah.ended_slowly(first_ids, counts) -> void
-- What must be done for jobs that have ended and had more than a payload: frees the unique keys that last as long as
-- their jobs, forgets when they would have expired, notifies who waits. Internal to howdah.ended.
-- Writes: unique_key, expiry, waiter. Locks: those rows, in order of the ids.
-- Notifies: howdah.ended with up to 400 ids a message, because a message has less than 8000 bytes.
CREATE OR REPLACE FUNCTION howdah.ended_slowly(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_waited bigint[];
BEGIN
  DELETE FROM howdah.unique_key u USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE u.job_id >= r.first_id AND u.job_id < r.first_id + r.jobs AND u.scope = 'live';
  DELETE FROM howdah.expiry e USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
   WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs;
  WITH gone AS (
    DELETE FROM howdah.waiter w USING unnest(ended_slowly.first_ids, ended_slowly.counts) r(first_id, jobs)
     WHERE w.job_id >= r.first_id AND w.job_id < r.first_id + r.jobs RETURNING w.job_id)
  SELECT array_agg(g.job_id ORDER BY g.job_id) INTO v_waited FROM gone g;
  PERFORM pg_notify('howdah.ended', string_agg(w.id::text, ','))
     FROM unnest(v_waited) WITH ORDINALITY w(id, n) GROUP BY (w.n - 1) / 400;
END $$;
