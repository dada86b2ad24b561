-- howdah.defer(due_at, first_id, jobs, queue_id, kind, priority, attempt) -> void
-- Puts a run of jobs into the room of what is due later, and tells the keeper if it means to sleep longer.
-- Writes: deferred. Locks: none that others need. Errors: none of its own. Internal.
CREATE OR REPLACE FUNCTION howdah.defer(due_at timestamptz, first_id bigint, jobs integer, queue_id integer, kind text, priority integer, attempt integer)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind)
    VALUES (defer.due_at, defer.first_id, defer.queue_id, defer.priority, defer.jobs, defer.attempt, defer.kind);
  PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > defer.due_at;
END $$;
