-- howdah.split_ticket(ticket, job_id) -> void
-- Gives one job of a ticket that the caller has locked a ticket of its own, and what is before and behind it theirs.
-- Internal. Writes: ticket, unless the job is alone.
CREATE OR REPLACE FUNCTION howdah.split_ticket(ticket howdah.ticket, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  t howdah.ticket := split_ticket.ticket;
BEGIN
  IF t.jobs = 1 THEN
    RETURN;
  END IF;
  DELETE FROM howdah.ticket k WHERE k.slot = t.slot AND k.queue_id = t.queue_id AND k.priority = t.priority AND k.first_id = t.first_id;
  INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
  SELECT p.first_id, t.queue_id, r.slot, t.priority, p.jobs, t.attempt, t.kind, t.gates, t.ready_at
    FROM (VALUES (t.first_id, split_ticket.job_id - t.first_id), (split_ticket.job_id, 1),
                 (split_ticket.job_id + 1, t.first_id + t.jobs - 1 - split_ticket.job_id)) p(first_id, jobs), howdah.ring r
   WHERE p.jobs > 0 AND r.name = 'returned';
END $$;
