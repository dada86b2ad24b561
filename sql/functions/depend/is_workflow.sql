-- howdah.is_workflow(parent) -> boolean
-- Whether an element of depends_on stands for a workflow: {"workflow": id} and no more. Internal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.is_workflow(parent jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id jsonb := is_workflow.parent -> 'workflow';
BEGIN
  IF jsonb_typeof(v_id) IS DISTINCT FROM 'number' OR is_workflow.parent - 'workflow' <> '{}' THEN
    RETURN false;
  END IF;
  RETURN (v_id #>> '{}')::numeric BETWEEN 1 AND 9007199254740991 AND scale((v_id #>> '{}')::numeric) = 0;
END $$;
