-- howdah.tokens(gate, rule) -> float8
-- How many tokens of a gate's rate are there now. Internal to room. Reads: gate.
CREATE OR REPLACE FUNCTION howdah.tokens(gate text, rule howdah.flow_rule) RETURNS float8
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_full  timestamptz := (SELECT g.full_at FROM howdah.gate g WHERE g.name = tokens.gate);
  v_debt  float8;
BEGIN
  IF v_full IS NULL OR v_full = '-infinity' THEN
    RETURN (tokens.rule).rate_burst;
  END IF;
  -- Clocks count microseconds; a token that comes with the next one is here.
  v_debt := greatest(0, extract(epoch FROM v_full - howdah.now())::float8 - 0.0000005) * 1000 * (tokens.rule).rate / (tokens.rule).rate_period_ms;
  RETURN (tokens.rule).rate_burst - v_debt;
END $$;
