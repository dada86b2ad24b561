-- howdah.hear_late_wishes(most) -> integer
-- Wishes to cancel an attempt that has ended otherwise in the moment in which they came: whoever has been told `cancelling` has asked for
-- the job to end, so they are asked again for whatever the job does now. One that somebody has sent again since is left alone:
-- that takes the wish away. What is locked by somebody comes next time.
--   most  how many are looked at
-- Returns how many were heard. Internal to prune. Writes: cancel_request, and see cancel. Locks: as cancel, for 100 ms at most.
CREATE OR REPLACE FUNCTION howdah.hear_late_wishes(most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '100ms' AS $$
DECLARE
  v_ids   bigint[];
  v_id    bigint;
  v_heard integer := 0;
BEGIN
  v_ids := ARRAY(SELECT c.job_id FROM howdah.cancel_request c WHERE NOT howdah.holds(c.lease_id, c.job_id)
                  ORDER BY c.job_id LIMIT hear_late_wishes.most FOR UPDATE SKIP LOCKED);
  FOREACH v_id IN ARRAY v_ids LOOP
    BEGIN
      DELETE FROM howdah.cancel_request c WHERE c.job_id = v_id;
      PERFORM howdah.cancel(v_id);
      v_heard := v_heard + 1;
    EXCEPTION WHEN lock_not_available THEN
      -- It keeps its wish.
    END;
  END LOOP;
  RETURN v_heard;
END $$;
