-- howdah.room(gate, rule, weight, making) -> integer
-- How many jobs, each of this weight, may pass a gate now. NULL: any number. making: a lease that is not written yet. Internal; exact for who has locked the gate.
-- Reads: slot, lease, gate. Errors: none.
CREATE OR REPLACE FUNCTION howdah.room(gate text, rule howdah.flow_rule, weight integer DEFAULT 1, making bigint DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_most integer := CASE WHEN room.gate ^@ 'order:' THEN 1 ELSE (room.rule).max_running END;
  v_free integer;
  v_tokens float8;
BEGIN
  IF v_most IS NOT NULL THEN
    IF room.gate ^@ 'queue:' THEN
      -- Leases tell it: a job of a queue needs no slot.
      SELECT v_most - coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c)), 0) INTO v_free
        FROM howdah.lease l WHERE l.queue_id = substr(room.gate, 7)::integer;
    ELSE
      SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate;
      IF v_free <= 0 AND v_most > 0 THEN
        -- One whose lease is gone counts for nothing.
        SELECT v_most - count(*) INTO v_free FROM howdah.slot s WHERE s.gate = room.gate
           AND (s.lease_id = room.making OR EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (s.lease_id & 3) AND l.id = s.lease_id));
      END IF;
    END IF;
  END IF;
  IF (room.rule).rate IS NOT NULL THEN
    v_tokens := howdah.tokens(room.gate, room.rule);
    v_free := least(v_free, CASE WHEN v_tokens >= room.weight THEN floor(v_tokens / room.weight)
                            -- What weighs more than can be saved up starts from a full bucket, and leaves a debt.
                            WHEN v_tokens >= (room.rule).rate_burst THEN 1 ELSE 0 END);
  END IF;
  RETURN CASE WHEN v_free IS NOT NULL THEN greatest(v_free, 0) END;
END $$;
