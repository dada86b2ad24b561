-- howdah.node_due(spec, now) -> timestamptz
-- When a node of a workflow is due, as it says; NULL: at once. Internal. Errors: none, nodes are checked before.
CREATE OR REPLACE FUNCTION howdah.node_due(spec jsonb, now timestamptz) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF node_due.spec ? 'run_at' THEN
    RETURN howdah.as_time('run_at', node_due.spec -> 'run_at');
  END IF;
  RETURN node_due.now + make_interval(secs => (node_due.spec ->> 'delay_ms')::float8 / 1000);
END $$;
