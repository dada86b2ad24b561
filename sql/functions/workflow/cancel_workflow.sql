-- howdah.cancel_workflow(workflow_id) -> (cancelled, cancelling)
-- Cancels all jobs of a workflow that have not ended, its callbacks too; it takes no more jobs then.
--   cancelled   how many waited, and will certainly not run
--   cancelling  how many run: their workers are told, as by howdah.cancel
-- Writes: workflow, command, and see cancel_many. Locks: the workflow's row, and see cancel_many.
-- Errors: HD002 with COLUMN workflow_id: there is none; HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.cancel_workflow(workflow_id bigint, OUT cancelled bigint, OUT cancelling bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ids  bigint[];
  v_part bigint[];
  v_next bigint;
  v_upto bigint;
  s      record;
BEGIN
  PERFORM howdah.lock_workflow(cancel_workflow.workflow_id);
  UPDATE howdah.workflow w SET cancelled_at = coalesce(w.cancelled_at, howdah.now()) WHERE w.id = cancel_workflow.workflow_id;
  v_ids := ARRAY(SELECT k.job_id FROM howdah.workflow_job k WHERE k.workflow_id = cancel_workflow.workflow_id ORDER BY k.job_id);
  cancelled := - (SELECT count(*) FROM howdah.states_of(v_ids) x WHERE x.state = 'cancelled');
  cancelling := 0;
  FOR v_from IN 0 .. (cardinality(v_ids) - 1) / 10000 LOOP
    v_part := v_ids[v_from * 10000 + 1 : v_from * 10000 + 10000];
    v_next := 0;
    v_upto := NULL;
    WHILE v_next IS NOT NULL LOOP
      SELECT * INTO s FROM howdah.cancel_many(ids => v_part, most => 10000, after => v_next, upto => v_upto);
      cancelling := cancelling + s.cancelling;
      v_next := s.next;
      v_upto := s.upto;
    END LOOP;
  END LOOP;
  -- With what was cancelled because of another that was.
  cancelled := cancelled + (SELECT count(*) FROM howdah.states_of(v_ids) x WHERE x.state = 'cancelled');
  PERFORM howdah.note('cancel_workflow', jsonb_build_object('workflow', cancel_workflow.workflow_id), changed => cancelled + cancelling);
END $$;
