-- howdah.rotate_ring(ring, relation, slots, turn_bytes) -> text
-- Turns a ring of hot partitions when the one that is written has grown past turn_bytes, and truncates those
-- that were left and have run empty. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, queue. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_ring(ring text, relation text, slots integer[], turn_bytes bigint) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_current smallint;
  v_slot    integer;
  v_free    integer;
  v_live    boolean;
BEGIN
  SELECT r.slot INTO v_current FROM howdah.ring r WHERE r.name = rotate_ring.ring FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  -- Also mends a queue that was made while the ring turned.
  IF rotate_ring.ring = 'ticket' THEN
    PERFORM howdah.set_fresh_slot(v_current);
  END IF;
  FOREACH v_slot IN ARRAY rotate_ring.slots LOOP
    CONTINUE WHEN v_slot = v_current;
    IF pg_relation_size(format('howdah.%I', rotate_ring.relation || '_' || v_slot)::regclass) = 0 THEN
      v_free := v_slot;
    ELSE
      EXECUTE format('SELECT EXISTS (SELECT FROM howdah.%I)', rotate_ring.relation || '_' || v_slot) INTO v_live;
      IF NOT v_live AND howdah.truncate_slot(ARRAY[rotate_ring.relation || '_' || v_slot]) THEN
        RETURN format('truncated %s_%s', rotate_ring.relation, v_slot);
      END IF;
    END IF;
  END LOOP;
  IF v_free IS NOT NULL AND pg_relation_size(format('howdah.%I', rotate_ring.relation || '_' || v_current)::regclass) > rotate_ring.turn_bytes THEN
    UPDATE howdah.ring r SET slot = v_free, since = howdah.now() WHERE r.name = rotate_ring.ring;
    IF rotate_ring.ring = 'ticket' THEN
      PERFORM howdah.set_fresh_slot(v_free);
    END IF;
    RETURN format('turned %s to %s_%s', rotate_ring.ring, rotate_ring.relation, v_free);
  END IF;
  RETURN NULL;
END $$;
