-- howdah.enqueue_workflow(name, jobs, on_complete, on_end) -> bigint
-- Enqueues a named graph of jobs in the caller's transaction, all or none, and returns the number of the workflow.
--   name  1 to 256 bytes, for people; it need not be unique
--   jobs  an array of 1 to 10,000 nodes. A node is an object with
--           name   1 to 200 bytes without /, unique among its siblings
--           kind, payload, queue, priority, run_at, delay_ms, max_attempts, options: as for howdah.enqueue
--           depends_on  names of other nodes in any order, or ids of any jobs: it is blocked until they have ended;
--                       {"workflow": id} is all jobs of another workflow, see workflow_end
--           on_parent_failure  cancel (default), run or hold: see howdah.check_options
--         or a group: name, jobs (nodes again), depends_on and on_parent_failure for all in it. Whoever names the group waits for
--         all that is in it; its nodes see their siblings by their names, and are called group/name elsewhere
--   on_complete  a node (without name and depends_on) that runs when all the others have completed, and is cancelled if one fails
--   on_end       one that runs when all the others have ended, however
-- A batch is a workflow in which nothing depends on anything.
-- Writes: workflow, workflow_job, job, ticket, deferred, dependency, expiry, second_look. Locks: as howdah.enqueue.
-- Errors: HD001 unknown queue; HD002 invalid argument: COLUMN jobs with the name of the node, or of all in a circle; HD005.
-- Cost: a few statements; two index entries for each pair of jobs that wait for each other.
CREATE OR REPLACE FUNCTION howdah.enqueue_workflow(name text, jobs jsonb, on_complete jsonb DEFAULT NULL, on_end jsonb DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_id    bigint;
  v_all   jsonb;
  v_nodes jsonb := enqueue_workflow.jobs;
BEGIN
  IF enqueue_workflow.name IS NULL OR octet_length(enqueue_workflow.name) NOT BETWEEN 1 AND 256 OR enqueue_workflow.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', format('must be 1 to 256 bytes without control characters, not %s',
      coalesce(octet_length(enqueue_workflow.name)::text, 'NULL')));
  END IF;
  IF enqueue_workflow.on_complete IS NOT NULL OR enqueue_workflow.on_end IS NOT NULL THEN
    PERFORM howdah.check_nodes(v_nodes);
    SELECT jsonb_agg(DISTINCT n -> 'name') INTO v_all FROM jsonb_array_elements(v_nodes) n;
    v_nodes := v_nodes || howdah.callback_node('on_complete', enqueue_workflow.on_complete, v_all, 'cancel')
                       || howdah.callback_node('on_end', enqueue_workflow.on_end, v_all, 'run');
  END IF;
  INSERT INTO howdah.workflow (name, created_at, prune_at)
    SELECT enqueue_workflow.name, n.now, n.now + howdah.longest_retention() FROM howdah.now() n(now) RETURNING id INTO v_id;
  PERFORM howdah.insert_nodes(v_id, v_nodes, CASE WHEN enqueue_workflow.on_complete IS NOT NULL THEN '{on_complete}'::text[] ELSE '{}' END
                                          || CASE WHEN enqueue_workflow.on_end IS NOT NULL THEN '{on_end}'::text[] ELSE '{}' END);
  RETURN v_id;
END $$;
