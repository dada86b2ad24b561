-- howdah.why_parents(job_id) -> setof (code, reason, evidence)
-- What a blocked job waits for: first the parents that have failed and hold it, with what can be done about that; 20 rows at
-- most, and how many more there are. Internal to why_deferred. Reads only.
CREATE OR REPLACE FUNCTION howdah.why_parents(job_id bigint) RETURNS TABLE (code text, reason text, evidence jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_count bigint := 0;
  p       record;
BEGIN
  FOR p IN SELECT o.*, coalesce(o.state, 'gone') AS now, coalesce(e.id, w.workflow_id) AS workflow_id,
                  CASE WHEN e.id IS NULL THEN 'job ' || o.parent_id ELSE format('workflow %s (%s)', e.id, e.name) END AS what
             FROM howdah.open_parents(why_parents.job_id) o LEFT JOIN howdah.workflow_job w ON w.job_id = o.parent_id
             LEFT JOIN howdah.workflow e ON e.end_id = o.parent_id
            ORDER BY NOT o.held, o.parent_id LOOP
    v_count := v_count + 1;
    CONTINUE WHEN v_count > 19;
    code := CASE WHEN p.held THEN 'held' ELSE 'dependency' END;
    evidence := jsonb_build_object('job_id', p.parent_id, 'state', p.state, 'workflow_id', p.workflow_id);
    reason := format('it waits for %s, which is %s', p.what, p.now);
    IF p.held THEN
      reason := format('%s, which it waits for, is %s: ', p.what, p.now)
        || CASE WHEN p.state = 'dead' THEN format('it goes on when that is run again (howdah.retry(%s)) and completes, or', p.parent_id)
                WHEN p.workflow_id IS NOT NULL THEN format('it goes on when that is run again (howdah.retry_workflow(%s)) and completes, or', p.workflow_id)
                ELSE 'that cannot be made good;' END
        || format(' let it go (howdah.unhold(%1$s)) or cancel it (howdah.cancel(%1$s))', why_parents.job_id);
    END IF;
    RETURN NEXT;
  END LOOP;
  IF v_count > 19 THEN
    RETURN QUERY SELECT 'dependency', format('it waits for %s more', v_count - 19), jsonb_build_object('more', v_count - 19);
  END IF;
END $$;
