-- howdah.stay_awake(worker_id, queue_ids) -> void
-- Takes the announcement of fall_asleep back: the worker looks by itself, and enqueuers need not notify.
-- Writes: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.stay_awake(worker_id bigint, queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  DELETE FROM howdah.sleeper s WHERE s.worker_id = stay_awake.worker_id AND s.queue_id = ANY (stay_awake.queue_ids);
END $$;
