-- howdah.weight_of(fair_key) -> integer
-- How many jobs of a share are started in its turn: its rule's weight, or that of the longest rule with a * that fits, or 1.
-- Internal. Reads: flow_rule.
CREATE OR REPLACE FUNCTION howdah.weight_of(fair_key text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN coalesce(
    (SELECT f.weight FROM howdah.flow_rule f WHERE f.scope = 'share' AND f.name = weight_of.fair_key),
    (SELECT f.weight FROM howdah.flow_rule f WHERE f.scope = 'share' AND right(f.name, 1) = '*' AND weight_of.fair_key ^@ left(f.name, -1)
      ORDER BY octet_length(f.name) DESC LIMIT 1), 1);
END $$;
