-- howdah.rescue_lease(lease_id, worker_id, error_kind, message, job_ids) -> integer
-- Takes jobs out of a lease (job_ids NULL: all, which ends it) and gives them to others. Returns how many. Internal to rescue; the caller has locked the
-- lease row in an earlier statement.
-- Writes: lease, failure, ticket, dead; receipt and cancel_request (for those that were to be cancelled).
CREATE OR REPLACE FUNCTION howdah.rescue_lease(lease_id bigint, worker_id bigint, error_kind text, message text,
  job_ids bigint[] DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lost     bigint[];
  v_attempts smallint[];
  v_unwanted bigint[];
  v_now      timestamptz := howdah.now();
BEGIN
  SELECT array_agg(t.job_id), array_agg(t.attempt) INTO v_lost, v_attempts FROM howdah.take_from_lease(rescue_lease.lease_id, rescue_lease.job_ids) t;
  IF v_lost IS NULL THEN
    RETURN 0;
  END IF;
  INSERT INTO howdah.failure (slot, job_id, attempt, at, worker_id, error_kind, message)
  SELECT r.slot, u.id, u.attempt, v_now, rescue_lease.worker_id, rescue_lease.error_kind, rescue_lease.message
    FROM unnest(v_lost, v_attempts) u(id, attempt), howdah.ring r WHERE r.name = 'history';
  -- Asked once: a wish that comes while this goes on is heard by prune. What is heard here is forgotten here.
  WITH heard AS (
    DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
      SELECT q.job_id FROM howdah.cancel_request q WHERE q.job_id = ANY (v_lost) AND q.lease_id = rescue_lease.lease_id FOR UPDATE SKIP LOCKED))
    RETURNING c.job_id)
  SELECT coalesce(array_agg(h.job_id), '{}') INTO v_unwanted FROM heard h;
  PERFORM howdah.write_receipt(2, j.queue_id, rescue_lease.worker_id, NULL, ARRAY[u.id], ARRAY[u.attempt])
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j WHERE u.id = ANY (v_unwanted);
  PERFORM howdah.bury(j.id, j.queue_id, j.kind, j.priority, u.attempt, rescue_lease.error_kind || ': ' || rescue_lease.message)
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt >= j.max_attempts AND u.id <> ALL (v_unwanted);
  PERFORM howdah.put_back(array_agg(u.id), array_agg(u.attempt))
    FROM unnest(v_lost, v_attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
   WHERE u.attempt < j.max_attempts AND u.id <> ALL (v_unwanted);
  RETURN cardinality(v_lost);
END $$;
