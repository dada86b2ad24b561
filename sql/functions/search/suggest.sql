-- howdah.suggest(field, prefix, path, most) -> setof text
-- Values that begin with a prefix, for whoever types a search:
--   field   kind, queue, worker, workflow, key, error (kinds of errors): values of that field;
--           args, attr: the names that are in payloads, or attributes, below `path`
--   most    how many, 1 to 1000
-- Of what is there in any number (kinds, keys, errors, names), those of the newest thousand rows. In order.
-- Reads: queue, worker, kind, workflow, unique_key, failure, dead, job. Locks: none. Errors: HD002 unknown field.
-- Cost: of about a thousand rows, however many there are.
CREATE OR REPLACE FUNCTION howdah.suggest(field text, prefix text DEFAULT '', path text[] DEFAULT '{}', most integer DEFAULT 20) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_found text[];
BEGIN
  PERFORM howdah.check_most(suggest.most, 1000, NULL);
  CASE suggest.field
    WHEN 'queue' THEN
      v_found := ARRAY(SELECT q.name FROM howdah.queue q);
    WHEN 'worker' THEN
      v_found := ARRAY(SELECT w.name FROM howdah.worker w ORDER BY w.id DESC LIMIT 1000);
    WHEN 'workflow' THEN
      v_found := ARRAY(SELECT w.name FROM howdah.workflow w ORDER BY w.id DESC LIMIT 1000);
    WHEN 'key' THEN
      v_found := ARRAY(SELECT u.key FROM howdah.unique_key u ORDER BY u.job_id DESC LIMIT 1000);
    WHEN 'error' THEN
      v_found := ARRAY(SELECT f.error_kind FROM howdah.failure f ORDER BY f.job_id DESC, f.attempt DESC LIMIT 1000);
    WHEN 'kind' THEN
      v_found := ARRAY(
        SELECT k.name FROM howdah.kind k
        UNION SELECT unnest(w.kinds) FROM howdah.worker w
        UNION (SELECT x.kind FROM howdah.dead x ORDER BY x.job_id DESC LIMIT 1000)
        UNION (SELECT j.kind FROM howdah.job j ORDER BY j.id DESC LIMIT 1000));
    WHEN 'args', 'attr' THEN
      v_found := ARRAY(
        SELECT jsonb_object_keys(CASE WHEN jsonb_typeof(p.at) = 'object' THEN p.at ELSE '{}' END)
          FROM (SELECT CASE suggest.field WHEN 'args' THEN n.payload ELSE n.options -> 'attributes' END #> suggest.path AS at
                  FROM (SELECT j.payload, j.options FROM howdah.job j ORDER BY j.id DESC LIMIT 1000) n) p);
    ELSE
      RAISE EXCEPTION 'there are no suggestions for %', coalesce(quote_literal(left(suggest.field, 100)), 'NULL')
        USING ERRCODE = 'HD002', COLUMN = 'field', HINT = 'There are for kind, queue, worker, workflow, key, error, args and attr.';
  END CASE;
  RETURN QUERY SELECT DISTINCT f COLLATE "C" FROM unnest(v_found) f WHERE f ^@ suggest.prefix ORDER BY 1 LIMIT suggest.most;
END $$;
