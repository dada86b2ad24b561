-- howdah.watch_gate(gate, rule, weight, tell, after_ms) -> void
-- Has the keeper look at a gate when the tokens are there that a job of this weight waits for; without a rate now, because
-- somebody may have come to it in vain while it was freed. Internal. Writes: gate_look. Locks: none.
--   tell      whether to notify the keeper, or to leave it to its next tick
--   after_ms  not before so long from now
CREATE OR REPLACE FUNCTION howdah.watch_gate(gate text, rule howdah.flow_rule DEFAULT NULL, weight integer DEFAULT 1, tell boolean DEFAULT true,
  after_ms integer DEFAULT 0)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_at timestamptz := howdah.now() + make_interval(secs => watch_gate.after_ms / 1000.0);
BEGIN
  IF (watch_gate.rule).rate IS NOT NULL THEN
    SELECT greatest(v_at, g.full_at - howdah.time_of(watch_gate.rule, greatest(0, (watch_gate.rule).rate_burst - watch_gate.weight)))
      INTO v_at FROM howdah.gate g WHERE g.name = watch_gate.gate;
    v_at := coalesce(v_at, howdah.now());
  END IF;
  -- At any other gate the keeper may take what is there before this transaction is committed, and see nothing of it.
  IF watch_gate.gate ^@ 'queue:' AND EXISTS (SELECT FROM howdah.gate_look l WHERE l.gate = watch_gate.gate AND l.look_at <= v_at) THEN
    RETURN;
  END IF;
  INSERT INTO howdah.gate_look (gate, look_at) VALUES (watch_gate.gate, v_at);
  IF watch_gate.tell THEN
    PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > v_at;
  END IF;
END $$;
