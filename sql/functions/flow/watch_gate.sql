-- howdah.watch_gate(gate, rule, weight) -> void
-- Has the keeper look at a gate when the tokens are there that a job of this weight waits for. rule NULL: now, because
-- somebody may have come to it in vain while it was freed. Internal. Writes: gate. Notifies the keeper.
CREATE OR REPLACE FUNCTION howdah.watch_gate(gate text, rule howdah.flow_rule DEFAULT NULL, weight integer DEFAULT 1) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_at timestamptz := howdah.now();
BEGIN
  IF (watch_gate.rule).rate IS NOT NULL THEN
    SELECT greatest(v_at, g.full_at - make_interval(secs => greatest(0, (watch_gate.rule).rate_burst - watch_gate.weight)::float8
                      * (watch_gate.rule).rate_period_ms / (watch_gate.rule).rate / 1000))
      INTO v_at FROM howdah.gate g WHERE g.name = watch_gate.gate;
    v_at := coalesce(v_at, howdah.now());
  END IF;
  INSERT INTO howdah.gate AS g (name, look_at) VALUES (watch_gate.gate, v_at)
  ON CONFLICT (name) DO UPDATE SET look_at = v_at WHERE g.look_at IS NULL OR g.look_at > v_at;
  IF FOUND THEN
    PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > v_at;
  END IF;
END $$;
