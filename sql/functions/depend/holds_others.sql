-- howdah.holds_others(job_id) -> boolean
-- Whether jobs are held until this one completes (on_parent_failure 'hold'). Internal. Reads: dependency. Cost: one index probe.
CREATE OR REPLACE FUNCTION howdah.holds_others(job_id bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN EXISTS (SELECT FROM howdah.dependency d WHERE d.parent_id = holds_others.job_id AND d.on_failure = 'hold');
END $$;
