-- howdah.retry_workflow(workflow_id) -> integer
-- Runs again what failed of a workflow, and what was cancelled because of that: all of its jobs that are dead, cancelled or
-- expired start over with all their attempts, in their order. What has completed is kept, and what has not ended goes on; what of
-- that is still blocked waits for these again. One that had expired does not expire again. Returns how many jobs that are;
-- what ended longer ago than history is kept is not among them.
-- Writes: workflow, command, dead, receipt, job, unique_key, ordered, deferred, dependency, failed_parent, ticket, second_look.
-- Locks: those rows, and waits for whoever has them.
-- Errors: HD001 a queue was deleted; HD002 with COLUMN workflow_id: there is none; HD003 another job has the unique key of one
-- of them: nothing was changed; HD012 the transaction is not READ COMMITTED.
-- Cost: a few statements, of its jobs and what they wait for.
CREATE OR REPLACE FUNCTION howdah.retry_workflow(workflow_id bigint) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  w       howdah.workflow := howdah.lock_workflow(retry_workflow.workflow_id);
  v_all   bigint[];
  v_ids   bigint[];
  v_mine  bigint[];
  v_other bigint[];
  j       howdah.job;
BEGIN
  UPDATE howdah.workflow k SET cancelled_at = NULL WHERE k.id = w.id;
  v_all := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = w.id) || w.end_id;
  SELECT array_agg(s.job_id ORDER BY s.job_id) INTO v_ids FROM howdah.states_of(v_all) s
   WHERE s.state IN ('dead', 'cancelled', 'expired');
  IF v_ids IS NULL THEN
    RETURN 0;
  END IF;
  PERFORM howdah.unknown_queue(d.name) FROM howdah.find_jobs(v_ids) f JOIN howdah.deleted_queue d ON d.id = f.queue_id;
  -- Somebody may be sending one of them again, or deleting it: locked, they are looked at once more.
  PERFORM FROM howdah.dead d WHERE d.job_id = ANY (v_ids) ORDER BY d.job_id FOR UPDATE;
  PERFORM howdah.lock_ended(v_ids);
  FOR part IN 0..7 LOOP
    PERFORM FROM howdah.job j WHERE ((j.id >> 33) & 7) = part AND j.id = ANY (v_ids) ORDER BY j.id FOR UPDATE;
  END LOOP;
  PERFORM FROM howdah.job_kept k WHERE k.id = ANY (v_ids) ORDER BY k.id FOR UPDATE;
  v_ids := ARRAY(SELECT s.job_id FROM howdah.states_of(v_ids) s WHERE s.state IN ('dead', 'cancelled', 'expired') ORDER BY s.job_id);
  v_mine := howdah.take_keys_again(v_ids);
  PERFORM howdah.take_key_again(u.id) FROM unnest(v_ids) u(id) WHERE u.id NOT IN (SELECT m FROM unnest(v_mine) m);
  DELETE FROM howdah.dead d WHERE d.job_id = ANY (v_ids);
  PERFORM howdah.take_ended(v_ids);
  -- Those that run too: they are to go on.
  DELETE FROM howdah.cancel_request c WHERE c.job_id = ANY (ARRAY(
    SELECT r.job_id FROM howdah.cancel_request r WHERE r.job_id = ANY (v_all) FOR UPDATE SKIP LOCKED));
  FOR j IN SELECT f.* FROM howdah.find_jobs(v_ids) f WHERE f.options ? 'expires_at' LOOP
    j.options := nullif(j.options - 'expires_at', '{}');
    PERFORM howdah.rewrite_job(j);
  END LOOP;
  PERFORM howdah.wait_again(v_ids, v_all);
  DELETE FROM howdah.failed_parent p WHERE p.job_id = w.end_id AND p.parent_id = ANY (v_ids);
  INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
  SELECT 'infinity', f.id, f.queue_id, f.priority, 1, 0, f.kind, CASE WHEN f.options IS NOT NULL THEN howdah.gates_of(f.options) END, 'dependencies'
    FROM howdah.find_jobs(v_ids) f;
  -- What they wait for: all of it again, but for what has completed.
  WITH asked AS MATERIALIZED (
    -- Once for each job: options with thousands of parents are large.
    SELECT f.id, f.options -> 'depends_on' AS parents, coalesce(f.options ->> 'on_parent_failure', 'cancel') AS on_failure FROM howdah.find_jobs(v_ids) f),
  wish AS MATERIALIZED (SELECT a.id, p::bigint AS parent_id, a.on_failure FROM asked a, jsonb_array_elements_text(a.parents) p),
  known AS MATERIALIZED (SELECT s.* FROM howdah.states_of(ARRAY(SELECT DISTINCT w.parent_id FROM wish w)) s),
  waits AS (
    INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
    SELECT w.parent_id, w.id, w.on_failure FROM wish w JOIN known s ON s.job_id = w.parent_id WHERE s.state <> 'completed'
    ON CONFLICT DO NOTHING RETURNING parent_id)
  SELECT array_agg(DISTINCT w.parent_id) FILTER (WHERE w.parent_id NOT IN (SELECT u FROM unnest(v_ids) u)) INTO v_other FROM waits w;
  PERFORM howdah.join_orders(v_ids), howdah.meet_parents(v_ids, coalesce(v_other, '{}'));
  PERFORM howdah.look_later(howdah.let_go(v_ids));
  PERFORM howdah.note('retry_workflow', jsonb_build_object('workflow', w.id), changed => cardinality(array_remove(v_ids, w.end_id)));
  RETURN cardinality(array_remove(v_ids, w.end_id));
END $$;
