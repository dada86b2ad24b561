-- howdah.insert_nodes(workflow_id, jobs, callbacks) -> integer
-- Enqueues the nodes of a workflow, all or none, and returns how many jobs that are. callbacks: names of nodes that wait for all the
-- others, for good: see add_to_workflow. Internal to enqueue_workflow and add_to_workflow.
-- Writes: job, workflow_job, ticket, deferred, dependency, expiry, second_look. Locks: as howdah.enqueue. If these are added to
-- a workflow with callbacks, or that somebody waits for, and wait for jobs outside of it: the advisory lock of add_dependency.
-- Errors: HD001, HD002, HD005: see enqueue_workflow. Cost: of nodes and pairs; a few statements, however many they are.
CREATE OR REPLACE FUNCTION howdah.insert_nodes(workflow_id bigint, jobs jsonb, callbacks text[] DEFAULT '{}') RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now       timestamptz := howdah.now();
  v_names     text[];
  v_specs     jsonb[];
  v_ids       bigint[];
  v_children  bigint[];
  v_parents   bigint[];
  v_outside   bigint[];
  v_far       bigint[];
  v_callback  bigint;
  v_wrong     text;
BEGIN
  PERFORM howdah.check_nodes(insert_nodes.jobs);
  SELECT array_agg(f.path ORDER BY f.n), array_agg(f.spec || jsonb_build_object('on_parent_failure', f.on_failure) ORDER BY f.n)
    INTO v_names, v_specs FROM howdah.flatten_nodes(insert_nodes.jobs) f WHERE f.leaf;
  SELECT array_agg(e.child ORDER BY e.child, e.parent, e.parent_id), array_agg(e.parent ORDER BY e.child, e.parent, e.parent_id),
         array_agg(e.parent_id ORDER BY e.child, e.parent, e.parent_id), min(e.wrong)
    INTO v_children, v_parents, v_outside, v_wrong FROM howdah.node_edges(insert_nodes.workflow_id, insert_nodes.jobs) e;
  IF v_wrong IS NOT NULL THEN
    PERFORM howdah.option_refused('jobs', 'name what is not there: ' || v_wrong);
  ELSIF v_names IS NULL THEN
    PERFORM howdah.option_refused('jobs', 'are groups without a job in them');
  ELSIF cardinality(v_children) > 200000 THEN
    PERFORM howdah.option_refused('jobs', format('wait for others %s times, and one call takes 200000', cardinality(v_children)));
  END IF;
  PERFORM howdah.refuse_circles(v_names, array_agg(e.child ORDER BY e.child), array_agg(e.parent ORDER BY e.child))
     FROM unnest(v_children, v_parents) e(child, parent) WHERE e.parent IS NOT NULL HAVING count(*) > 0;
  v_far := ARRAY(SELECT DISTINCT o FROM unnest(v_outside) o WHERE o NOT IN (SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = insert_nodes.workflow_id AND NOT k.callback));
  FOR v_callback IN SELECT c.job_id FROM howdah.workflow_callbacks(insert_nodes.workflow_id) c WHERE v_far <> '{}' LOOP
    -- It is to wait for these nodes, and must not be among what they wait for.
    PERFORM pg_advisory_xact_lock('howdah.dependency'::regclass::oid::bigint << 32);
    PERFORM howdah.refuse_circle(v_callback, v_far);
  END LOOP;
  v_ids := howdah.insert_node_jobs(v_now, v_specs, v_children, v_parents, v_outside);
  IF EXISTS (SELECT FROM howdah.workflow_job w WHERE w.workflow_id = insert_nodes.workflow_id AND w.name = ANY (v_names)) THEN
    PERFORM howdah.node_refused(w.name, 'the workflow has one of this name') FROM howdah.workflow_job w
      WHERE w.workflow_id = insert_nodes.workflow_id AND w.name = ANY (v_names);
  END IF;
  INSERT INTO howdah.workflow_job (workflow_id, name, job_id, callback)
  SELECT insert_nodes.workflow_id, u.name, u.id, u.name = ANY (insert_nodes.callbacks) FROM unnest(v_names, v_ids) u(name, id);
  PERFORM howdah.place_nodes(v_now, v_ids, v_specs, v_children, v_parents, v_outside);
  RETURN cardinality(v_ids);
END $$;
