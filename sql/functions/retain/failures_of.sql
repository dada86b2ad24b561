-- howdah.failures_of(job_id) -> jsonb
-- The failed attempts of a job that are still kept, as an array in their order; NULL if there are none. Internal.
CREATE OR REPLACE FUNCTION howdah.failures_of(job_id bigint) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN (SELECT jsonb_agg(jsonb_build_object('attempt', f.attempt, 'at', f.at, 'error_kind', f.error_kind, 'message', f.message,
                                              'causes', f.causes, 'run_ms', f.run_ms, 'worker_id', f.worker_id) ORDER BY f.attempt, f.at)
            FROM howdah.failure f WHERE f.job_id = failures_of.job_id);
END $$;
