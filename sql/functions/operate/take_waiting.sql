-- howdah.take_waiting(job_id) -> (queue_id, priority, kind, attempt)
-- Takes one job out of the ticket or deferred row that it waits in; the rest of the run stays. No row: it
-- does not wait. Internal.
-- Writes: ticket or deferred. Locks: that row, and waits for whoever has it.
CREATE OR REPLACE FUNCTION howdah.take_waiting(job_id bigint)
RETURNS TABLE (queue_id integer, priority smallint, kind text, attempt smallint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := take_waiting.job_id >> 7 << 7;
  t       record;
BEGIN
  -- While we wait for a lock the job may go to the other room: each round sees the newest.
  FOR round IN 1..3 LOOP
    SELECT k.* INTO t FROM howdah.find_job(take_waiting.job_id) j, howdah.ticket k
     WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND take_waiting.job_id
       AND take_waiting.job_id < k.first_id + k.jobs FOR UPDATE OF k;
    IF FOUND THEN
      DELETE FROM howdah.ticket k WHERE k.slot = t.slot AND k.queue_id = t.queue_id AND k.priority = t.priority AND k.first_id = t.first_id;
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind)
      SELECT p.first_id, t.queue_id, r.slot, t.priority, p.jobs, t.attempt, t.kind
        FROM (VALUES (t.first_id, take_waiting.job_id - t.first_id),
                     (take_waiting.job_id + 1, t.first_id + t.jobs - 1 - take_waiting.job_id)) p(first_id, jobs), howdah.ring r
       WHERE p.jobs > 0 AND r.name = 'returned';
    ELSE
      SELECT d.* INTO t FROM howdah.deferred d
       WHERE d.first_id BETWEEN v_block AND take_waiting.job_id AND take_waiting.job_id < d.first_id + d.jobs FOR UPDATE;
      CONTINUE WHEN NOT FOUND;
      DELETE FROM howdah.deferred d WHERE d.first_id = t.first_id;
      PERFORM howdah.defer(t.due_at, p.first_id, p.jobs::integer, t.queue_id, t.kind, t.priority, t.attempt)
        FROM (VALUES (t.first_id, take_waiting.job_id - t.first_id),
                     (take_waiting.job_id + 1, t.first_id + t.jobs - 1 - take_waiting.job_id)) p(first_id, jobs) WHERE p.jobs > 0;
    END IF;
    RETURN QUERY SELECT t.queue_id, t.priority, t.kind, t.attempt;
    RETURN;
  END LOOP;
END $$;
