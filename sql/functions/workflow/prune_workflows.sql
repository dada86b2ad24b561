-- howdah.prune_workflows(most) -> text
-- Removes workflows of whose jobs nothing is left. Looks at each one longest retention after it was made, and every ten minutes
-- from then on; at most `most` at a time. Returns what it did, or NULL. Internal to rotate.
-- Writes: workflow, workflow_job, failed_parent. Locks: their rows, skipping what others have. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_workflows(most integer DEFAULT 100) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_gone integer := 0;
  w      record;
BEGIN
  FOR w IN SELECT k.id, k.end_id FROM howdah.workflow k WHERE k.prune_at <= howdah.now() ORDER BY k.prune_at LIMIT prune_workflows.most FOR UPDATE SKIP LOCKED LOOP
    IF EXISTS (SELECT FROM howdah.workflow_job j CROSS JOIN LATERAL howdah.find_job(j.job_id) f WHERE j.workflow_id = w.id) THEN
      UPDATE howdah.workflow k SET prune_at = howdah.now() + interval '10 minutes' WHERE k.id = w.id;
    ELSE
      DELETE FROM howdah.workflow_job j WHERE j.workflow_id = w.id;
      DELETE FROM howdah.failed_parent p WHERE p.job_id = w.end_id;
      DELETE FROM howdah.workflow k WHERE k.id = w.id;
      v_gone := v_gone + 1;
    END IF;
  END LOOP;
  RETURN CASE WHEN v_gone > 0 THEN format('pruned %s workflows', v_gone) END;
END $$;
