-- howdah.spend(gate, rule, tokens) -> void
-- Takes tokens of a gate's rate. Internal; the caller has locked the gate. Writes: gate.
CREATE OR REPLACE FUNCTION howdah.spend(gate text, rule howdah.flow_rule, tokens bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_takes interval := howdah.time_of(spend.rule, spend.tokens);
BEGIN
  INSERT INTO howdah.gate AS g (name, full_at) VALUES (spend.gate, howdah.now() + v_takes)
  ON CONFLICT (name) DO UPDATE SET full_at = greatest(g.full_at, howdah.now()) + v_takes;
END $$;
