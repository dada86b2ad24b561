-- howdah.drop_waiting(job_id, state, queue_id, priority) -> void
-- Deletes the row that howdah.single_out has given to a job. Internal. Writes: ticket or deferred.
CREATE OR REPLACE FUNCTION howdah.drop_waiting(job_id bigint, state text, queue_id integer, priority smallint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  IF drop_waiting.state = 'ready' THEN
    DELETE FROM howdah.ticket k
     WHERE k.queue_id = drop_waiting.queue_id AND k.priority = drop_waiting.priority AND k.first_id = drop_waiting.job_id;
  END IF;
  -- One that is ready may wait for its turn there.
  IF drop_waiting.state <> 'ready' OR NOT FOUND THEN
    DELETE FROM howdah.deferred d WHERE d.first_id = drop_waiting.job_id;
  END IF;
END $$;
