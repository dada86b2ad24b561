-- howdah.gates_of(options) -> text[]
-- The gates that a job with these options must pass when it is claimed: fair:KEY of its share, order:KEY, limit:KEY for
-- each of its limits, and weight:N, which is no gate but what it takes of a rate. NULL: none. Errors: none, options are
-- checked before. Internal.
CREATE OR REPLACE FUNCTION howdah.gates_of(options jsonb) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_limits jsonb := gates_of.options -> 'limit_key';
  v_gates  text[];
BEGIN
  IF gates_of.options ? 'fair_key' THEN
    v_gates := v_gates || ('fair:' || (gates_of.options ->> 'fair_key'));
  END IF;
  IF gates_of.options ? 'order_key' THEN
    v_gates := v_gates || ('order:' || (gates_of.options ->> 'order_key'));
  END IF;
  IF jsonb_typeof(v_limits) = 'string' THEN
    v_gates := v_gates || ('limit:' || (v_limits #>> '{}'));
  ELSIF v_limits IS NOT NULL THEN
    v_gates := v_gates || ARRAY(SELECT DISTINCT 'limit:' || k FROM jsonb_array_elements_text(v_limits) k ORDER BY 1);
  END IF;
  IF gates_of.options ? 'weight' THEN
    v_gates := v_gates || ('weight:' || (gates_of.options ->> 'weight'));
  END IF;
  RETURN v_gates;
END $$;
