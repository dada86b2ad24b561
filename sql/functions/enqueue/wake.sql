-- howdah.wake(queue_id) -> void
-- Notifies the sleeping workers of a queue at commit; does nothing when none sleeps, because PostgreSQL
-- serialises the commits of all transactions that notify. Internal.
-- Reads: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.wake(queue_id integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM howdah.sleeper s WHERE s.queue_id = wake.queue_id) THEN
    PERFORM pg_notify('howdah.wake', wake.queue_id::text);
  END IF;
END $$;
