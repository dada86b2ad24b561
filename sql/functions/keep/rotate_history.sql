-- howdah.rotate_history() -> text
-- Turns the ring of receipts, failures and results twice in each retention: what is truncated is then at least one
-- retention old. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_history() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_next smallint;
BEGIN
  SELECT (r.slot + 1) % 4 INTO v_next FROM howdah.ring r, howdah.config c
   WHERE r.name = 'history' AND r.since + c.history_retention / 2 < howdah.now() FOR UPDATE OF r SKIP LOCKED;
  IF NOT FOUND OR NOT howdah.truncate_slot(ARRAY['receipt_' || v_next, 'failure_' || v_next, 'result_' || v_next]) THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.ring r SET slot = v_next, since = howdah.now() WHERE r.name = 'history';
  RETURN format('turned history to slot %s', v_next);
END $$;
