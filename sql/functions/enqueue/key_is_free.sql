-- howdah.key_is_free(held) -> boolean
-- Whether a unique key can be taken although it has a row: its period is over; or it lasts as long as its job, and that
-- has ended, or waits and will never start (it has expired, or its queue was deleted). Internal. Reads: howdah.jobs.
CREATE OR REPLACE FUNCTION howdah.key_is_free(held howdah.unique_key) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  j record;
BEGIN
  IF (key_is_free.held).scope <> 'live' THEN
    RETURN coalesce((key_is_free.held).expires_at <= howdah.now(), false);
  END IF;
  SELECT v.state, v.expires_at INTO j FROM howdah.jobs v WHERE v.id = (key_is_free.held).job_id;
  IF NOT FOUND OR j.state NOT IN ('scheduled', 'blocked', 'ready', 'running') THEN
    RETURN true;
  END IF;
  RETURN j.state <> 'running' AND (coalesce(j.expires_at <= howdah.now(), false)
    OR EXISTS (SELECT FROM howdah.find_job((key_is_free.held).job_id) f JOIN howdah.deleted_queue d ON d.id = f.queue_id));
END $$;
