-- howdah.rule_of(gate) -> flow_rule
-- The rule of a gate: of limit:KEY that of the key, or else the longest one with a * that fits; of kind:NAME and
-- queue:ID that of the kind or queue. All NULL: there is none. Internal.
CREATE OR REPLACE FUNCTION howdah.rule_of(gate text) RETURNS howdah.flow_rule
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_key text := substr(rule_of.gate, strpos(rule_of.gate, ':') + 1);
  r     howdah.flow_rule;
BEGIN
  IF rule_of.gate ^@ 'kind:' THEN
    SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'kind' AND f.name = v_key;
  ELSIF rule_of.gate ^@ 'queue:' THEN
    SELECT f.* INTO r FROM howdah.queue q JOIN howdah.flow_rule f ON f.scope = 'queue' AND f.name = q.name WHERE q.id = v_key::integer;
  ELSIF rule_of.gate ^@ 'limit:' THEN
    SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'key' AND f.name = v_key;
    IF NOT FOUND THEN
      SELECT * INTO r FROM howdah.flow_rule f WHERE f.scope = 'key' AND right(f.name, 1) = '*' AND v_key ^@ left(f.name, -1)
       ORDER BY octet_length(f.name) DESC LIMIT 1;
    END IF;
  END IF;
  RETURN r;
END $$;
