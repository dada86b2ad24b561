-- howdah.removal_function(name) -> text
-- The function that a queue's before_removal names, as it is written in a statement: quoted, and with its schema.
-- It takes one jsonb and is no aggregate, procedure or set. Internal.
-- Errors: HD002 there is none.
CREATE OR REPLACE FUNCTION howdah.removal_function(name text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text;
BEGIN
  BEGIN
    IF cardinality(parse_ident(removal_function.name)) = 2 THEN
      SELECT format('%I.%I', n.nspname, p.proname) INTO v_text
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE p.oid = to_regprocedure(removal_function.name || '(jsonb)') AND p.prokind = 'f' AND NOT p.proretset;
    END IF;
  EXCEPTION WHEN syntax_error OR invalid_parameter_value OR invalid_name THEN
    v_text := NULL;
  END;
  IF v_text IS NULL THEN
    RAISE EXCEPTION 'before_removal must name a function of one jsonb, with its schema, not %', quote_literal(left(removal_function.name, 256))
      USING ERRCODE = 'HD002', COLUMN = 'before_removal', HINT = 'CREATE FUNCTION app.on_removal(jobs jsonb) RETURNS void ..., and give ''app.on_removal''.';
  END IF;
  RETURN v_text;
END $$;
