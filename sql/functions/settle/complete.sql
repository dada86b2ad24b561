-- howdah.complete(lease_id, job_ids, run_ms, result_jobs, results) -> setof bigint
-- Completes jobs of a lease; job_ids NULL: all that are left in it.
--   run_ms       how long each of job_ids ran, in their order; may be NULL
--   result_jobs  which of them have something to keep for those who wait, and
--   results      what that is, in the same order
-- Returns the ids that were completed. An id that is missing was not this lease's any more: another worker
-- has it, or it has ended, and nothing was changed. A caller that wants an error uses complete_in.
-- Writes: lease, receipt, result. Locks: the lease row until the commit, so that other jobs of the same lease wait.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.complete(lease_id bigint, job_ids bigint[] DEFAULT NULL, run_ms integer[] DEFAULT NULL,
  result_jobs bigint[] DEFAULT NULL, results jsonb[] DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_lease    howdah.lease;
  v_ids      bigint[];
  v_attempts smallint[];
  v_run_ms   integer[];
BEGIN
  SELECT * INTO v_lease FROM howdah.lease l WHERE (l.id & 3) = (complete.lease_id & 3) AND l.id = complete.lease_id;
  SELECT array_agg(t.job_id ORDER BY t.job_id), array_agg(t.attempt ORDER BY t.job_id),
         CASE WHEN complete.run_ms IS NOT NULL THEN array_agg(complete.run_ms[array_position(complete.job_ids, t.job_id)] ORDER BY t.job_id) END
    INTO v_ids, v_attempts, v_run_ms
    FROM howdah.take_from_lease(complete.lease_id, complete.job_ids) t;
  IF v_ids IS NOT NULL THEN
    PERFORM howdah.write_receipt(1, v_lease.queue_id, v_lease.worker_id, v_lease.claimed_at, v_ids, v_attempts, v_run_ms);
    IF complete.result_jobs IS NOT NULL THEN
      PERFORM howdah.keep_results(complete.result_jobs, complete.results, v_ids);
    END IF;
  END IF;
  RETURN QUERY SELECT unnest(v_ids);
END $$;
