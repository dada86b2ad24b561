-- howdah.end_workflows(job_ids) -> void
-- Ends the jobs that stand for the ends of workflows (see workflow_end): the caller has taken them from where they waited, and
-- they wait for nothing any more. Internal to let_go and end_failed. Writes: receipt, signal, and see write_receipt.
CREATE OR REPLACE FUNCTION howdah.end_workflows(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_state text;
  e       record;
BEGIN
  FOR e IN SELECT f.id, f.queue_id, f.payload -> 'name' AS name, (f.options ->> 'ends_workflow')::bigint AS workflow_id,
                  EXISTS (SELECT FROM howdah.failed_parent p WHERE p.job_id = f.id) AS failed
             FROM howdah.find_jobs(end_workflows.job_ids) f ORDER BY f.id LOOP
    PERFORM howdah.write_receipt(CASE WHEN e.failed THEN 2 ELSE 1 END, e.queue_id, NULL, NULL, ARRAY[e.id], '{0}');
    v_state := 'completed';
    IF e.failed THEN
      -- What has failed may be history already.
      v_state := coalesce((SELECT w.state FROM howdah.workflows w WHERE w.id = e.workflow_id AND w.state <> 'completed'), 'failed');
    END IF;
    PERFORM howdah.withdraw_signal('workflow ' || e.workflow_id),
            howdah.send_signal('workflow ' || e.workflow_id, jsonb_build_object('workflow', e.workflow_id, 'name', e.name, 'state', v_state));
  END LOOP;
END $$;
