-- howdah.open_gates(sweep) -> bigint
-- The keeper's look at gates: lets through whom they have room for, at those whose tokens have come, and with `sweep` at
-- some of all that block somebody, whatever may have been missed. Returns milliseconds until the next tokens come; NULL:
-- nobody waits for any.
-- Writes: gate, deferred, ticket. Locks: the gates, one after the other; passes by what others are at.
CREATE OR REPLACE FUNCTION howdah.open_gates(sweep boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_gates text[];
  v_gate  text;
  v_next  text;
BEGIN
  SELECT array_agg(g.name) INTO v_gates FROM (
    SELECT k.name FROM howdah.gate k WHERE k.look_at <= howdah.now() ORDER BY k.look_at LIMIT 500 FOR UPDATE SKIP LOCKED) g;
  UPDATE howdah.gate k SET look_at = NULL WHERE k.name = ANY (v_gates);
  IF open_gates.sweep THEN
    -- Two hundred at a time, from a place that differs each time.
    v_next := coalesce((SELECT max(r.gate) FROM (
      SELECT d.gate FROM howdah.deferred d WHERE d.first_id >= ((SELECT s.last_value FROM howdah.block_seq s) * random())::bigint << 7
       ORDER BY d.first_id LIMIT 100) r WHERE r.gate >= 'kind:'), 'kind:');
    FOR i IN 1..200 LOOP
      SELECT d.gate INTO v_gate FROM howdah.deferred d WHERE d.gate >= v_next ORDER BY d.gate LIMIT 1;
      EXIT WHEN v_gate IS NULL;
      v_gates := v_gates || v_gate;
      v_next := v_gate || chr(1);
    END LOOP;
  END IF;
  FOR v_gate IN SELECT DISTINCT g FROM unnest(v_gates) g ORDER BY g LOOP
    PERFORM howdah.open_gate(v_gate);
  END LOOP;
  RETURN (SELECT greatest(0, ceil(extract(epoch FROM g.look_at - howdah.now()) * 1000)) FROM howdah.gate g
           WHERE g.look_at > howdah.now() ORDER BY g.look_at LIMIT 1);
END $$;
