-- howdah.check_states(states, allowed) -> text[]
-- Refuses states that an operation is not for; all that are allowed for NULL. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_states(states text[], allowed text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT coalesce(s, 'NULL') INTO v_bad FROM unnest(check_states.states) s WHERE s IS NULL OR s <> ALL (check_states.allowed) LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'states must be of %, not %', array_to_string(check_states.allowed, ', '), quote_literal(left(v_bad, 100))
      USING ERRCODE = 'HD002', COLUMN = 'states';
  END IF;
  RETURN coalesce(check_states.states, check_states.allowed);
END $$;
