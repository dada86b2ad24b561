-- howdah.resolve_parents(parents) -> jsonb
-- The value of depends_on with ids of jobs only: in place of {"workflow": id} the job that ends with that workflow. Internal to
-- enqueue_many. Writes, locks and errors: see workflow_end.
CREATE OR REPLACE FUNCTION howdah.resolve_parents(parents jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF NOT resolve_parents.parents @? '$[*] ? (@.type() == "object")' THEN
    RETURN resolve_parents.parents;
  END IF;
  RETURN (SELECT jsonb_agg(CASE WHEN jsonb_typeof(e.p) = 'object' THEN to_jsonb(howdah.workflow_end((e.p ->> 'workflow')::bigint)) ELSE e.p END ORDER BY e.n)
            FROM jsonb_array_elements(resolve_parents.parents) WITH ORDINALITY e(p, n));
END $$;
