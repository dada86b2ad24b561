-- howdah.gates_of_rule(scope, name) -> setof text
-- The gates that a rule is for, as far as somebody may wait at them: a thousand of them at most; at the others the keeper
-- looks in its round. Internal to set_limit.
CREATE OR REPLACE FUNCTION howdah.gates_of_rule(scope text, name text) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_from text := 'limit:' || rtrim(gates_of_rule.name, '*');
  v_gate text := v_from;
BEGIN
  IF gates_of_rule.scope = 'queue' THEN
    RETURN QUERY SELECT 'queue:' || q.id FROM howdah.queue q WHERE q.name = gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'kind' THEN
    RETURN NEXT 'kind:' || gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'key' AND right(gates_of_rule.name, 1) <> '*' THEN
    RETURN NEXT 'limit:' || gates_of_rule.name;
  ELSIF gates_of_rule.scope = 'key' THEN
    FOR i IN 1..1000 LOOP
      SELECT d.gate INTO v_gate FROM howdah.deferred d WHERE d.gate >= v_gate ORDER BY d.gate LIMIT 1;
      EXIT WHEN v_gate IS NULL OR NOT v_gate ^@ v_from;
      RETURN NEXT v_gate;
      v_gate := v_gate || chr(1);
    END LOOP;
  END IF;
END $$;
