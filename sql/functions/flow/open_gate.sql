-- howdah.open_gate(gate) -> void
-- Lets through whom a gate has room for, and sets when to look again for those that wait for tokens. Internal to open_gates.
-- Writes: gate_look, deferred, ticket. Locks: the gate.
CREATE OR REPLACE FUNCTION howdah.open_gate(gate text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_rule   howdah.flow_rule := howdah.rule_of(open_gate.gate);
  v_weight integer;
  v_room   integer;
BEGIN
  IF open_gate.gate ^@ 'queue:' THEN
    PERFORM howdah.wake(substr(open_gate.gate, 7)::integer);
    RETURN;
  END IF;
  IF NOT open_gate.gate ~ '^(kind|limit|order):' THEN
    RETURN;
  ELSIF NOT howdah.lock_gate(open_gate.gate) THEN
    -- Somebody is there: again soon.
    INSERT INTO howdah.gate_look (gate, look_at) VALUES (open_gate.gate, howdah.now() + interval '20 milliseconds');
    RETURN;
  END IF;
  -- What the first one weighs: enough for a guess, since a claim looks again.
  SELECT howdah.weight_in(d.gates) INTO v_weight
    FROM howdah.deferred d WHERE d.gate = open_gate.gate ORDER BY d.gate, d.priority, d.first_id LIMIT 1;
  IF NOT FOUND THEN
    RETURN;
  END IF;
  v_room := coalesce(howdah.room(open_gate.gate, v_rule, v_weight), 1000);
  IF v_room > 0 THEN
    PERFORM howdah.release_gate(open_gate.gate, least(v_room, 1000));
  END IF;
  -- Those that were let through see to the next ones when they take their tokens.
  IF v_rule.rate IS NOT NULL AND v_room = 0 AND howdah.tokens(open_gate.gate, v_rule) < least(v_weight, v_rule.rate_burst) THEN
    PERFORM howdah.watch_gate(open_gate.gate, v_rule, v_weight);
  END IF;
END $$;
