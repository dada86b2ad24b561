-- howdah.workflow_end(workflow_id) -> bigint
-- The job that ends when all jobs of a workflow have ended, its callbacks and what is added to it included: completed if all of
-- them have completed, else cancelled. Whoever is to wait for the workflow depends on that job; no worker runs it. It is made by
-- the first call, in the caller's transaction. depends_on calls this for {"workflow": id}.
-- When it ends, a signal `workflow ID` is sent to everybody: {"workflow": id, "name": ..., "state": as in howdah.workflows}.
-- Writes: at the first call job, deferred, workflow, dependency, failed_parent, second_look. Locks: then the workflow's row.
-- Errors: HD002 with COLUMN workflow_id: there is none; with COLUMN depends_on: one of its jobs ended longer ago than history is
-- kept, so that nobody knows how (call this when the workflow is enqueued, and it is known); HD012 at the first call, the
-- transaction is not READ COMMITTED.
-- Cost: at the first call two index entries for each job of the workflow.
CREATE OR REPLACE FUNCTION howdah.workflow_end(workflow_id bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_old   bigint := (SELECT k.end_id FROM howdah.workflow k WHERE k.id = workflow_end.workflow_id);
  v_ids   bigint[];
  j       howdah.job;
  w       howdah.workflow;
BEGIN
  IF EXISTS (SELECT FROM howdah.find_job(v_old)) THEN
    RETURN v_old;
  END IF;
  w := howdah.lock_workflow(workflow_end.workflow_id);
  IF w.end_id IS DISTINCT FROM v_old THEN
    RETURN w.end_id;
  END IF;
  v_ids := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = w.id ORDER BY k.job_id);
  -- In the queue of one of its jobs, where it counts as one.
  SELECT f.queue_id, f.priority INTO j.queue_id, j.priority FROM howdah.find_jobs(v_ids) f ORDER BY f.id LIMIT 1;
  IF NOT FOUND THEN
    PERFORM howdah.option_refused('workflow_id', format('%s: nothing is left of its jobs', w.id));
  END IF;
  j.id := nextval('howdah.block_seq') << 7;
  INSERT INTO howdah.job (id, enqueued_at, queue_id, priority, max_attempts, kind, payload, options)
    VALUES (j.id, howdah.now(), j.queue_id, j.priority, 1, 'howdah.workflow', jsonb_build_object('workflow', w.id, 'name', w.name),
            jsonb_build_object('ends_workflow', w.id, 'depends_on', v_ids, 'on_parent_failure', 'note'));
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gate)
    VALUES ('infinity', j.id, j.queue_id, j.priority, 1, 0, 'howdah.workflow', 'dependencies');
  -- One that was deleted, or ended longer ago than history is kept.
  DELETE FROM howdah.failed_parent p WHERE p.job_id = v_old;
  UPDATE howdah.workflow k SET end_id = j.id WHERE k.id = w.id;
  PERFORM howdah.wait_for_parents(ARRAY[j.id], v_ids, 'note');
  RETURN j.id;
END $$;
