-- howdah.open_parents(job_id) -> (parent_id, state, held)
-- What a blocked job still waits for, and in which state that is; held: it has failed, and holds the job until it is made good
-- or howdah.unhold is called. state NULL: nothing is left of it. Internal to why and unhold. Locks: none. Cost: see states_of.
CREATE OR REPLACE FUNCTION howdah.open_parents(job_id bigint) RETURNS TABLE (parent_id bigint, state text, held boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents bigint[] := ARRAY(SELECT d.parent_id FROM howdah.dependency d WHERE d.job_id = open_parents.job_id);
BEGIN
  RETURN QUERY
    SELECT d.parent_id, s.state, d.on_failure = 'hold' AND coalesce(s.state IN ('dead', 'cancelled', 'expired'), true)
      FROM howdah.dependency d LEFT JOIN howdah.states_of(v_parents) s ON s.job_id = d.parent_id WHERE d.job_id = open_parents.job_id;
END $$;
