-- howdah.failures_of_group(fingerprint, most) -> (job_id, attempt, at, error_kind, message, kind, state)
-- The newest failed attempts of a group of howdah.error_groups, and in which state their jobs are (NULL: nothing is known of it
-- any more).
--   most  how many, 1 to 1,000
-- Reads: failure, job, and see states_of. Locks: none. Errors: HD002 invalid argument. Cost: of those that are returned.
CREATE OR REPLACE FUNCTION howdah.failures_of_group(fingerprint bigint, most integer DEFAULT 100)
RETURNS TABLE (job_id bigint, attempt smallint, at timestamptz, error_kind text, message text, kind text, state text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids bigint[];
BEGIN
  PERFORM howdah.check_most(failures_of_group.most, 1000, NULL);
  v_ids := ARRAY(SELECT f.job_id FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = failures_of_group.fingerprint
                  ORDER BY f.at DESC LIMIT failures_of_group.most);
  RETURN QUERY
    SELECT f.job_id, f.attempt, f.at, f.error_kind, left(f.message, 1000), j.kind::text, s.state
      FROM (SELECT * FROM howdah.failure f WHERE howdah.fingerprint(f.error_kind, f.message) = failures_of_group.fingerprint
             ORDER BY f.at DESC LIMIT failures_of_group.most) f
      LEFT JOIN howdah.find_jobs(v_ids) j ON j.id = f.job_id
      LEFT JOIN howdah.states_of(v_ids) s ON s.job_id = f.job_id
     ORDER BY f.at DESC, f.job_id DESC;
END $$;
