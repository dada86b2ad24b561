-- howdah.lock_ticket(job_id, skip) -> ticket
-- Locks the ticket that holds a job and returns it; NULLs if there is none. skip: not if somebody else has locked it.
-- Internal. Locks: that row.
CREATE OR REPLACE FUNCTION howdah.lock_ticket(job_id bigint, skip boolean) RETURNS howdah.ticket
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_block bigint := lock_ticket.job_id >> 7 << 7;
  t       howdah.ticket;
BEGIN
  IF lock_ticket.skip THEN
    SELECT k.* INTO t FROM howdah.find_job(lock_ticket.job_id) j, howdah.ticket k
     WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND lock_ticket.job_id
       AND lock_ticket.job_id < k.first_id + k.jobs FOR UPDATE OF k SKIP LOCKED;
  ELSE
    SELECT k.* INTO t FROM howdah.find_job(lock_ticket.job_id) j, howdah.ticket k
     WHERE k.queue_id = j.queue_id AND k.priority = j.priority AND k.first_id BETWEEN v_block AND lock_ticket.job_id
       AND lock_ticket.job_id < k.first_id + k.jobs FOR UPDATE OF k;
  END IF;
  RETURN t;
END $$;
