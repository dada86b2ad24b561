-- howdah.callback_node(name, node, parents, on_failure) -> jsonb
-- The nodes that a callback of a workflow comes to: one that waits for all the others, or none. Internal to enqueue_workflow.
-- Errors: HD002 (invalid argument) with the callback in COLUMN.
CREATE OR REPLACE FUNCTION howdah.callback_node(name text, node jsonb, parents jsonb, on_failure text) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF callback_node.node IS NULL THEN
    RETURN '[]';
  END IF;
  IF jsonb_typeof(callback_node.node) <> 'object' OR callback_node.node ?| '{name,jobs,depends_on,on_parent_failure}' THEN
    PERFORM howdah.option_refused(callback_node.name, 'must be an object such as {"kind": "tell"}, without name, jobs, depends_on and on_parent_failure');
  END IF;
  RETURN jsonb_build_array(callback_node.node || jsonb_build_object('name', callback_node.name, 'depends_on', callback_node.parents,
    'on_parent_failure', callback_node.on_failure));
END $$;
