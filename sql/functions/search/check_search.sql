-- howdah.check_search(search) -> void
-- Refuses what is no compiled search. One is an object with any of these, which must all hold:
--   states                 names of states: only jobs in one of them
--   row, rest, args, attr  predicates of jsonpath, in which $now is the time in microseconds since 1970:
--     row    on what was written with the job: {id, kind, queue, max_attempts, priority, enqueued}
--     rest   on these and {state, attempt, due, claimed, ended, run, error, key, reason, worker, workflow, words}; times in
--            microseconds since 1970, run in milliseconds, the last six as far as `needs` names them
--     args   on the payload
--     attr   on the attributes
--   needs                  what has to be gathered for `rest`: errors, key, reason, worker, workflow
-- and with these, which say where not to look, and must follow from the predicates:
--   ids, kinds, queues, keys, workflows (names or numbers, as texts): only jobs with one of these
--   from_id, upto_id       only ids between these
--   now                    what $now is, if it is not the time at which jobs are looked at
-- Nothing of it is made part of a statement. At most 256 kB.
-- Reads nothing. Errors: HD002 with COLUMN search.
CREATE OR REPLACE FUNCTION howdah.check_search(search jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lists constant text[] := '{states,needs,ids,kinds,queues,keys,workflows}';
  v_paths constant text[] := '{row,rest,args,attr}';
  v_wrong text;
  v_key   text;
BEGIN
  IF jsonb_typeof(check_search.search) IS DISTINCT FROM 'object' THEN
    v_wrong := 'must be an object';
  ELSIF pg_column_size(check_search.search) > 262144 THEN
    v_wrong := 'is larger than 256 kB';
  ELSE
    SELECT format('has %L, which has no meaning there or is of the wrong type', e.key) INTO v_wrong FROM jsonb_each(check_search.search) e
     WHERE CASE WHEN e.key = ANY (v_lists) THEN jsonb_typeof(e.value) <> 'array'
                WHEN e.key = ANY (v_paths) THEN jsonb_typeof(e.value) <> 'string'
                WHEN e.key = ANY ('{from_id,upto_id,now}') THEN e.value #>> '{}' !~ '^-?\d{1,18}$' ELSE true END;
  END IF;
  IF v_wrong IS NULL AND EXISTS (SELECT FROM jsonb_array_elements_text(check_search.search -> 'ids') i WHERE i !~ '^-?\d{1,19}$') THEN
    v_wrong := 'has ids that are no whole numbers';
  END IF;
  IF v_wrong IS NOT NULL THEN
    RAISE EXCEPTION 'search %', v_wrong USING ERRCODE = 'HD002', COLUMN = 'search', HINT = 'It is made by the search language: see docs/search.md.';
  END IF;
  FOREACH v_key IN ARRAY v_paths LOOP
    BEGIN
      -- A path that is no predicate gives no single boolean here.
      PERFORM jsonb_path_match('{}', (check_search.search ->> v_key)::jsonpath, '{"now": 0}');
    EXCEPTION WHEN OTHERS THEN
      RAISE EXCEPTION 'search has a % that is no predicate: %', v_key, SQLERRM USING ERRCODE = 'HD002', COLUMN = 'search';
    END;
  END LOOP;
END $$;
