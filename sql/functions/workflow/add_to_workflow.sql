-- howdah.add_to_workflow(workflow_id, jobs) -> integer
-- Adds nodes to a workflow, in the caller's transaction, as one of its handlers does, say; all or none. Returns how many jobs.
--   jobs  as for howdah.enqueue_workflow; depends_on may name jobs that the workflow has already
-- Callbacks, and whoever waits for the workflow, wait for the new jobs too.
-- Writes: see enqueue_workflow. Locks: the workflow's row, and those of its callbacks; if the new jobs wait for any outside of the
-- workflow, see insert_nodes.
-- Errors: as enqueue_workflow; HD002 with COLUMN workflow_id: there is none; HD007: it was cancelled, or a callback does not
-- wait any more; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.add_to_workflow(workflow_id bigint, jobs jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_old   howdah.workflow := howdah.lock_workflow(add_to_workflow.workflow_id);
  v_count integer;
  v_new   bigint[];
  c       record;
  w       record;
  j       howdah.job;
BEGIN
  IF v_old.cancelled_at IS NOT NULL THEN
    RAISE EXCEPTION 'workflow % was cancelled and takes no more jobs', add_to_workflow.workflow_id
      USING ERRCODE = 'HD007', COLUMN = 'workflow_id', HINT = 'Run it again: SELECT howdah.retry_workflow(id)';
  END IF;
  -- Whose row is locked is not let go, and the keeper looks at it again.
  FOR c IN SELECT * FROM howdah.workflow_callbacks(add_to_workflow.workflow_id) LOOP
    w := howdah.single_out(c.job_id);
    IF w.gate IS DISTINCT FROM 'dependencies' THEN
      RAISE EXCEPTION 'workflow % has come to its end: its % does not wait any more', add_to_workflow.workflow_id, c.name
        USING ERRCODE = 'HD007', COLUMN = 'workflow_id', HINT = 'Add jobs while others of it have not ended, such as from one of its handlers.';
    END IF;
  END LOOP;
  v_new := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = add_to_workflow.workflow_id);
  v_count := howdah.insert_nodes(add_to_workflow.workflow_id, add_to_workflow.jobs);
  v_new := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = add_to_workflow.workflow_id AND k.job_id NOT IN (SELECT u FROM unnest(v_new) u));
  FOR c IN SELECT * FROM howdah.workflow_callbacks(add_to_workflow.workflow_id) LOOP
    SELECT * INTO j FROM howdah.find_job(c.job_id);
    j.options := j.options || jsonb_build_object('depends_on', (j.options -> 'depends_on') || to_jsonb(v_new));
    PERFORM howdah.rewrite_job(j), howdah.wait_for_parents(ARRAY[c.job_id], v_new, j.options ->> 'on_parent_failure');
  END LOOP;
  RETURN v_count;
END $$;
