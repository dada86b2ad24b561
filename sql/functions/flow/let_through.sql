-- howdah.let_through(tid, jobs) -> void
-- Makes the first jobs of a blocked run ready, and wakes who sleeps. Internal; the caller has locked the row.
-- Writes: deferred, ticket.
CREATE OR REPLACE FUNCTION howdah.let_through(tid tid, jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  d howdah.deferred;
BEGIN
  SELECT * INTO d FROM howdah.deferred k WHERE k.ctid = let_through.tid;
  IF let_through.jobs < d.jobs THEN
    UPDATE howdah.deferred k SET first_id = k.first_id + let_through.jobs, jobs = k.jobs - let_through.jobs WHERE k.ctid = let_through.tid;
  ELSE
    DELETE FROM howdah.deferred k WHERE k.ctid = let_through.tid;
  END IF;
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
  SELECT d.first_id, d.queue_id, r.slot, d.priority, let_through.jobs, d.attempt, d.kind, d.gates, howdah.now() FROM howdah.ring r WHERE r.name = 'returned';
  PERFORM howdah.wake(d.queue_id);
END $$;
