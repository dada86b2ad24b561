-- howdah.take_waiting(job_id) -> (queue_id, priority, kind, attempt)
-- Takes one job out of the ticket or deferred row that it waits in; the rest of the run stays. No row: it
-- does not wait. Internal.
-- Writes: ticket or deferred. Locks: that row, and waits for whoever has it.
CREATE OR REPLACE FUNCTION howdah.take_waiting(job_id bigint)
RETURNS TABLE (queue_id integer, priority smallint, kind text, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w record;
BEGIN
  w := howdah.single_out(take_waiting.job_id);
  IF w.state IS NOT NULL THEN
    PERFORM howdah.drop_waiting(take_waiting.job_id, w.state, w.queue_id, w.priority);
    RETURN QUERY SELECT w.queue_id, w.priority, w.kind, w.attempt;
  END IF;
END $$;
