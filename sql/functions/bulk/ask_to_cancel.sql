-- howdah.ask_to_cancel(job_ids) -> integer
-- Asks for the end of those of these jobs that run; one notification for each worker. Returns how many were asked that
-- had not been. Internal. Writes: cancel_request. Locks: none that a worker waits for.
CREATE OR REPLACE FUNCTION howdah.ask_to_cancel(job_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_asked   integer;
  v_workers bigint;
BEGIN
  WITH asked AS (
    INSERT INTO howdah.cancel_request (job_id, lease_id, worker_id, requested_at)
    SELECT r.first_id + g, l.id, l.worker_id, howdah.now()
      FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE r.first_id + g = ANY (ask_to_cancel.job_ids)
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = r.first_id + g)
    ON CONFLICT (job_id) DO UPDATE SET lease_id = excluded.lease_id, worker_id = excluded.worker_id
    RETURNING worker_id)
  SELECT (SELECT count(*) FROM asked), (SELECT count(pg_notify('howdah.cancel', w.worker_id::text)) FROM (SELECT DISTINCT worker_id FROM asked) w)
    INTO v_asked, v_workers;
  RETURN v_asked;
END $$;
