-- howdah.open_gates(sweep) -> bigint
-- The keeper's look at gates: lets through whom they have room for, at those whose tokens have come, and with `sweep` at
-- some of all that block somebody, whatever may have been missed. Returns milliseconds until the next tokens come; NULL:
-- nobody waits for any.
-- Writes: gate_look, gate_round, deferred, ticket. Locks: those gates, until the transaction ends; passes by what others are at.
CREATE OR REPLACE FUNCTION howdah.open_gates(sweep boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
DECLARE
  v_gates text[];
  v_gate  text;
  v_next  text;
BEGIN
  WITH due AS MATERIALIZED (
    SELECT l.ctid FROM howdah.gate_look l WHERE l.look_at <= howdah.now() ORDER BY l.look_at LIMIT 50 FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM howdah.gate_look l WHERE l.ctid = ANY (ARRAY(SELECT d.ctid FROM due d)) RETURNING l.gate)
  SELECT array_agg(DISTINCT g.gate) INTO v_gates FROM gone g;
  IF open_gates.sweep THEN
    -- A hundred at a time, round and round.
    SELECT r.gate INTO v_next FROM howdah.gate_round r;
    FOR i IN 1..100 LOOP
      SELECT d.gate INTO v_gate FROM howdah.deferred d WHERE d.gate > greatest(v_next, 'kind') COLLATE "C" ORDER BY d.gate LIMIT 1;
      v_next := coalesce(v_gate, '');
      EXIT WHEN v_gate IS NULL;
      -- Most of them are as full as they should be, which needs no lock to see.
      IF howdah.room(v_gate, howdah.rule_of(v_gate)) IS DISTINCT FROM 0 THEN
        v_gates := v_gates || v_gate;
      END IF;
    END LOOP;
    UPDATE howdah.gate_round r SET gate = v_next WHERE r.gate <> v_next;
  END IF;
  FOR v_gate IN SELECT DISTINCT g FROM unnest(v_gates) g ORDER BY g LOOP
    PERFORM howdah.open_gate(v_gate);
  END LOOP;
  RETURN (SELECT greatest(0, ceil(extract(epoch FROM l.look_at - howdah.now()) * 1000)) FROM howdah.gate_look l
           ORDER BY l.look_at LIMIT 1);
END $$;
