-- howdah.node_refused(node, rule) -> never returns
-- Says which node of a workflow is wrong, and what is right. Errors: HD002 (invalid argument) with COLUMN jobs. Internal.
CREATE OR REPLACE FUNCTION howdah.node_refused(node text, rule text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'the node %: %', coalesce(quote_literal(left(node_refused.node, 200)), 'without a name'), node_refused.rule
    USING ERRCODE = 'HD002', COLUMN = 'jobs';
END $$;
