-- howdah.defer(due_at, first_id, jobs, queue_id, kind, priority, attempt, gates, gate) -> void
-- Puts a run of jobs into the room of what is due later, and tells the keeper if it means to sleep longer.
--   gates  what these jobs must pass when they are claimed, see gates_of; gate: what they are blocked by, or NULL
-- Writes: deferred. Locks: none that others need. Errors: none of its own. Internal.
CREATE OR REPLACE FUNCTION howdah.defer(due_at timestamptz, first_id bigint, jobs integer, queue_id integer, kind text, priority integer, attempt integer,
  gates text[] DEFAULT NULL, gate text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
    VALUES (defer.due_at, defer.first_id, defer.queue_id, defer.priority, defer.jobs, defer.attempt, defer.kind, defer.gates, defer.gate);
  PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > defer.due_at;
END $$;
