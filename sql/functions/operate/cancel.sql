-- howdah.cancel(job_id) -> text
-- Cancels a job and returns what became of it:
--   cancelled   it waited, and will not run
--   cancelling  it runs: its worker is told, its handler sees the cancellation, and it then ends as cancelled. If its attempt
--               ends otherwise in this very moment, the keeper asks again within some seconds
--   already cancelled, completed, expired, dead: it had ended before, and nothing was changed
--   NULL        there is no such job
-- Writes: ticket or deferred, and receipt; or cancel_request. Locks: the ticket or deferred row; waits for a
-- claim of it that is under way. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel(job_id bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_attempt smallint;
  v_queue   integer;
  v_lease   howdah.lease;
BEGIN
  -- A job moves between rooms while we look: a claim that we waited for has made it running, a rescue
  -- ready again. Each round sees the newest state.
  FOR round IN 1..3 LOOP
    SELECT t.queue_id, t.attempt INTO v_queue, v_attempt FROM howdah.take_waiting(cancel.job_id) t;
    IF FOUND THEN
      PERFORM howdah.write_receipt(2, v_queue, NULL, NULL, ARRAY[cancel.job_id], ARRAY[v_attempt]);
      RETURN 'cancelled';
    END IF;
    SELECT l.* INTO v_lease FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs)
     WHERE cancel.job_id >= r.first_id AND cancel.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = cancel.job_id);
    IF FOUND THEN
      INSERT INTO howdah.cancel_request (job_id, lease_id, worker_id, requested_at)
        VALUES (cancel.job_id, v_lease.id, v_lease.worker_id, howdah.now())
        ON CONFLICT (job_id) DO UPDATE SET lease_id = excluded.lease_id, worker_id = excluded.worker_id;
      PERFORM pg_notify('howdah.cancel', v_lease.worker_id::text);
      RETURN 'cancelling';
    END IF;
  END LOOP;
  RETURN (SELECT CASE s WHEN 'cancelled' THEN 'already cancelled' ELSE s END FROM howdah.state(cancel.job_id) s);
END $$;
