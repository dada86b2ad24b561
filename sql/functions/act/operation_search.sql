-- howdah.operation_search(action, search) -> jsonb
-- The jobs of a search that an operation begun now would be about, as a search: those that are in a state that it is for, and
-- were enqueued before now; what is said of times is meant from now. For a dry run: howdah.search(howdah.operation_search(...)).
-- Reads: block_seq. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.operation_search(action text, search jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_states text[];
BEGIN
  PERFORM howdah.check_search(operation_search.search);
  IF operation_search.search ? 'states' THEN
    v_states := ARRAY(SELECT jsonb_array_elements_text(operation_search.search -> 'states'));
  END IF;
  RETURN operation_search.search || jsonb_build_object(
    'states', to_jsonb(howdah.action_states(operation_search.action, v_states)), 'now', howdah.micros(howdah.now()),
    'upto_id', least((operation_search.search ->> 'upto_id')::bigint, howdah.last_id()));
END $$;
