-- howdah.commit_durably() -> void
-- Makes the commit of a claim wait for the disk although its session does not: what has passed a gate counts there, also
-- after a crash, while its handler may be running. Where nothing passes a gate it is enough to deliver again what a crash
-- has undone. Internal to what counts at gates.
CREATE OR REPLACE FUNCTION howdah.commit_durably() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF current_setting('synchronous_commit') = 'off' THEN
    PERFORM set_config('synchronous_commit', 'on', true);
  END IF;
END $$;
