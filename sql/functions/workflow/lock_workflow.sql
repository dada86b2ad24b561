-- howdah.lock_workflow(workflow_id) -> workflow
-- Locks a workflow against others who change it, until the transaction ends; whoever runs its jobs does not need it. Internal.
-- Locks: its row. Errors: HD002 (invalid argument) with COLUMN workflow_id: there is none. HD012 not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.lock_workflow(workflow_id bigint) RETURNS howdah.workflow
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  w howdah.workflow;
BEGIN
  PERFORM howdah.must_read_committed();
  SELECT * INTO w FROM howdah.workflow k WHERE k.id = lock_workflow.workflow_id FOR UPDATE;
  IF NOT FOUND THEN
    PERFORM howdah.option_refused('workflow_id', format('%s: there is no such workflow, or nothing is left of its jobs',
      coalesce(lock_workflow.workflow_id::text, 'NULL')));
  END IF;
  RETURN w;
END $$;
