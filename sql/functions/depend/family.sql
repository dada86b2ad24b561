-- howdah.family(job_id, most) -> (relation, id, name, kind, state)
-- What a job belongs to:
--   workflow  the workflow that it is in: its id and name
--   parent    what it was asked to wait for, and in which state that is; NULL: it ended longer ago than history is kept
--   child     what still waits for it
--   most      how many parents, and how many children, 1 to 10,000
-- Reads: workflow_job, job, dependency, and see states_of. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.family(job_id bigint, most integer DEFAULT 100)
RETURNS TABLE (relation text, id bigint, name text, kind text, state text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_parents  bigint[];
  v_children bigint[];
BEGIN
  PERFORM howdah.check_most(family.most, 10000, NULL);
  RETURN QUERY
    SELECT 'workflow', w.id, w.name::text, NULL::text, NULL::text
      FROM howdah.workflow_job k JOIN howdah.workflow w ON w.id = k.workflow_id WHERE k.job_id = family.job_id;
  v_parents := ARRAY(SELECT p.id::bigint FROM howdah.find_job(family.job_id) j
    CROSS JOIN LATERAL jsonb_array_elements_text(j.options -> 'depends_on') WITH ORDINALITY p(id, n) ORDER BY p.n LIMIT family.most);
  v_children := ARRAY(SELECT d.job_id FROM howdah.dependency d WHERE d.parent_id = family.job_id ORDER BY d.job_id LIMIT family.most);
  RETURN QUERY
    SELECT u.relation, u.id, NULL::text, j.kind::text, s.state
      FROM (SELECT 'parent' AS relation, p AS id, n FROM unnest(v_parents) WITH ORDINALITY x(p, n)
            UNION ALL SELECT 'child', c, n FROM unnest(v_children) WITH ORDINALITY x(c, n)) u
      LEFT JOIN howdah.find_jobs(v_parents || v_children) j ON j.id = u.id
      LEFT JOIN howdah.states_of(v_parents || v_children) s ON s.job_id = u.id
     ORDER BY u.relation DESC, u.n;
END $$;
