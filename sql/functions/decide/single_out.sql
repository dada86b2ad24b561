-- howdah.single_out(job_id, skip) -> (state, due_at, queue_id, priority, kind, attempt, gates, gate)
-- Finds the row of a job that waits and locks it; if the row stands for other jobs too, gives the job one of its own
-- (and the others theirs, which nobody sees before the commit). skip: passes over a row that somebody has locked.
-- state: ready, scheduled or blocked; NULL: the job does not wait (or, with skip, is locked). Internal.
-- Writes: ticket or deferred, only if the row is split. Locks: the row, and waits for whoever has it unless told to skip.
CREATE OR REPLACE FUNCTION howdah.single_out(job_id bigint, skip boolean DEFAULT false, OUT state text, OUT due_at timestamptz,
  OUT queue_id integer, OUT priority smallint, OUT kind text, OUT attempt smallint, OUT gates text[], OUT gate text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t howdah.ticket;
  d howdah.deferred;
BEGIN
  -- While we wait for a lock the row may be split, or the job go to another room: each round sees the newest.
  FOR round IN 1..3 LOOP
    t := howdah.lock_ticket(single_out.job_id, single_out.skip);
    IF t.first_id IS NOT NULL THEN
      PERFORM howdah.split_ticket(t, single_out.job_id);
      SELECT 'ready', t.queue_id, t.priority, t.kind, t.attempt, t.gates INTO state, queue_id, priority, kind, attempt, gates;
      RETURN;
    END IF;
    d := howdah.lock_deferred(single_out.job_id, single_out.skip);
    IF d.first_id IS NOT NULL THEN
      PERFORM howdah.split_deferred(d, single_out.job_id);
      SELECT howdah.waits_as(d.gate), d.due_at, d.queue_id, d.priority, d.kind, d.attempt, d.gates, d.gate
        INTO state, due_at, queue_id, priority, kind, attempt, gates, gate;
      RETURN;
    END IF;
  END LOOP;
END $$;
