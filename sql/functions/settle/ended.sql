-- howdah.ended(first_ids, counts) -> void
-- Called wherever jobs end, with the runs of their ids: frees their unique keys, wakes who waits for them. Jobs that
-- have none of this cost one probe of three indexes a run. Internal.
-- Writes: see ended_slowly. Errors: none.
CREATE OR REPLACE FUNCTION howdah.ended(first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.unique_key u
              WHERE u.job_id >= r.first_id AND u.job_id < r.first_id + r.jobs)
     OR EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.waiter w
                 WHERE w.job_id >= r.first_id AND w.job_id < r.first_id + r.jobs)
     OR EXISTS (SELECT FROM unnest(ended.first_ids, ended.counts) r(first_id, jobs), howdah.expiry e
                 WHERE e.job_id >= r.first_id AND e.job_id < r.first_id + r.jobs) THEN
    PERFORM howdah.ended_slowly(ended.first_ids, ended.counts);
  END IF;
END $$;
