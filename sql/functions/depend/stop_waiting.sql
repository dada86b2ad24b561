-- howdah.stop_waiting(first_ids, counts) -> void
-- Forgets what these runs of jobs waited for, which have ended. Internal to howdah.ended.
-- Writes: dependency. Locks: its rows, skipping what others have: those the keeper removes. Errors: none.
CREATE OR REPLACE FUNCTION howdah.stop_waiting(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  DELETE FROM howdah.dependency d WHERE d.ctid = ANY (ARRAY(
    SELECT u.ctid FROM unnest(stop_waiting.first_ids, stop_waiting.counts) r(first_id, jobs), LATERAL (
      SELECT x.ctid FROM howdah.dependency x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs FOR UPDATE SKIP LOCKED) u));
  PERFORM howdah.look_later(array_agg(DISTINCT u.job_id))
     FROM unnest(stop_waiting.first_ids, stop_waiting.counts) r(first_id, jobs), LATERAL (
       SELECT x.job_id FROM howdah.dependency x WHERE x.job_id >= r.first_id AND x.job_id < r.first_id + r.jobs) u
   HAVING count(*) > 0;
END $$;
