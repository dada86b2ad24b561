-- howdah.fall_asleep(worker_id, queue_ids) -> void
-- Announces that a worker waits to be notified of new jobs in these queues. It must look once more after
-- the commit of this, and again a few times: an enqueuer that looked before will not notify. A queue that was deleted
-- is passed by: whoever serves one of its name listens on howdah.queues, and announces itself again when one is made.
-- A worker that was given up announces nothing: nobody would take it back. Writes: sleeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.fall_asleep(worker_id bigint, queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  INSERT INTO howdah.sleeper (queue_id, worker_id)
    SELECT q.id, w.id FROM howdah.queue q, howdah.worker w WHERE q.id = ANY (fall_asleep.queue_ids) AND w.id = fall_asleep.worker_id
    ON CONFLICT DO NOTHING;
END $$;
