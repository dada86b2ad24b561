-- howdah.settle_in(lease_id, job_id, outcome, run_ms) -> void
-- Ends one job inside the caller's transaction. Internal to complete_in and cancel_in; outcome: 1 completed, 2 cancelled.
-- Writes: receipt, and lease or settled. Locks: waits for whoever is settling the same job; then the lease row, shared: other
-- jobs of the lease do not wait, a rescue passes it by. Errors: HD010 the job is not this lease's any more.
CREATE OR REPLACE FUNCTION howdah.settle_in(lease_id bigint, job_id bigint, outcome integer, run_ms integer)
RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_lease   howdah.lease;
  v_attempt smallint;
BEGIN
  -- The key of the job first, and the lease afterwards: whoever waits for the key must not hold the lease, which its owner may
  -- have to delete.
  IF settle_in.lease_id IS NOT NULL AND settle_in.job_id IS NOT NULL THEN
    INSERT INTO howdah.settled (lease_id, job_id) VALUES (settle_in.lease_id, settle_in.job_id) ON CONFLICT DO NOTHING;
  END IF;
  IF FOUND THEN
    SELECT * INTO v_lease FROM howdah.lease l
     WHERE (l.id & 3) = (settle_in.lease_id & 3) AND l.id = settle_in.lease_id FOR KEY SHARE;
  END IF;
  IF FOUND THEN
    SELECT r.attempt INTO v_attempt FROM unnest(v_lease.first_ids, v_lease.counts, v_lease.attempts) r(first_id, jobs, attempt)
     WHERE settle_in.job_id >= r.first_id AND settle_in.job_id < r.first_id + r.jobs;
  END IF;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % is not held by lease % any more', settle_in.job_id, settle_in.lease_id
      USING ERRCODE = 'HD010', HINT = 'Roll back: another worker has the job, or it has ended.';
  END IF;
  PERFORM howdah.write_receipt(settle_in.outcome, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at,
    ARRAY[settle_in.job_id], ARRAY[v_attempt], ARRAY[settle_in.run_ms]);
  -- A lease of one job has nobody else to disturb, and a caller without a worker's flush needs it gone.
  IF v_lease.counts = '{1}' THEN
    DELETE FROM howdah.lease l WHERE (l.id & 3) = (v_lease.id & 3) AND l.id = v_lease.id;
    DELETE FROM howdah.settled s WHERE s.lease_id = v_lease.id;
    PERFORM howdah.free_slots(ARRAY[v_lease.id], lasting => true), howdah.wake_limited(ARRAY[v_lease.queue_id]);
  END IF;
END $$;
