-- howdah.ended(first_ids, counts, died, failed) -> void
-- Called wherever jobs end, with the runs of their ids: frees their unique keys, wakes who waits for them, forgets their
-- progress, puts their steps into the history, lets the next of their order through, and lets go of the jobs that depend on
-- them. Jobs that have none of this cost one probe of seven indexes, however many they are.
--   died    they are dead: what they had reached is kept with them
--   failed  they did not complete (so it is too of those that died); NULL: some did, and it is looked up which, if a job
--           depends on any of them
-- Internal. Writes: see ended_slowly. Errors: none.
CREATE OR REPLACE FUNCTION howdah.ended(first_ids bigint[], counts smallint[], died boolean DEFAULT false, failed boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
  v_first bigint := ended.first_ids[1];
  -- A run never leaves its block of 128, and unlike a sum its end is in the range of numbers.
  v_last  bigint := ended.first_ids[1] | 127;
BEGIN
  IF cardinality(ended.first_ids) > 1 THEN
    SELECT min(f), max(f) | 127 INTO v_first, v_last FROM unnest(ended.first_ids) f;
  END IF;
  IF EXISTS (SELECT FROM howdah.unique_key u WHERE u.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.waiter w WHERE w.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.expiry e WHERE e.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.progress p WHERE p.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.ordered o WHERE o.job_id BETWEEN v_first AND v_last)
     OR EXISTS (SELECT FROM howdah.step s WHERE s.job_id BETWEEN v_first AND v_last) THEN
    PERFORM howdah.ended_slowly(ended.first_ids, ended.counts, ended.died);
  END IF;
  IF ended.died OR ended.failed IS NOT FALSE THEN
    IF EXISTS (SELECT FROM howdah.dependency d WHERE d.job_id BETWEEN v_first AND v_last) THEN
      PERFORM howdah.stop_waiting(ended.first_ids, ended.counts);
    END IF;
  END IF;
  IF EXISTS (SELECT FROM howdah.dependency d WHERE d.parent_id BETWEEN v_first AND v_last) THEN
    PERFORM howdah.go_on_after(ended.first_ids, ended.counts, ended.died OR ended.failed);
  END IF;
END $$;
