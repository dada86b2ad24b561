-- howdah.rotate_history() -> text
-- Turns the ring of history twice in the longest retention, and truncates a slot when that has passed since it was
-- left: what goes is then at least one retention old, and at most one and a half. What is to be asked about before it
-- goes (archive, hold, before_removal) keeps its slot until it is gone by rows; the failures of jobs that are not over
-- move on with the ring. Returns what it did, or NULL. Internal to rotate.
-- Writes: ring, history_slot, and see carry_history. Locks: see truncate_slot.
CREATE OR REPLACE FUNCTION howdah.rotate_history() RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now     timestamptz := howdah.now();
  v_longest interval := howdah.longest_retention();
  v_groups  bigint := CASE WHEN howdah.must_ask() <> '{}' THEN howdah.pruned_groups() END;
  v_slot    smallint;
  v_since   timestamptz;
  v_next    smallint;
BEGIN
  SELECT r.slot, r.since, (r.slot + 1) % 4 INTO v_slot, v_since, v_next FROM howdah.ring r WHERE r.name = 'history' FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN NULL;
  END IF;
  FOR v_next IN SELECT h.slot FROM howdah.history_slot h
                 WHERE h.slot <> v_slot AND h.left_at + v_longest < v_now AND (v_groups IS NULL OR h.clean_for = v_groups)
                   AND NOT howdah.is_empty_slot(h.slot) ORDER BY h.left_at FOR UPDATE SKIP LOCKED LOOP
    PERFORM howdah.carry_history(v_next, v_slot);
    IF howdah.truncate_slot((SELECT array_agg(t || '_' || v_next) FROM unnest(howdah.history_tables()) t)) THEN
      RETURN format('truncated history slot %s', v_next);
    END IF;
  END LOOP;
  v_next := (v_slot + 1) % 4;
  -- The ring never turns fast, not even if nothing is to be kept: a busy fleet would keep it turning.
  IF v_since + greatest(v_longest / 2, interval '10 seconds') >= v_now OR howdah.is_empty_slot(v_slot) OR NOT howdah.is_empty_slot(v_next) THEN
    RETURN NULL;
  END IF;
  UPDATE howdah.ring r SET slot = v_next, since = v_now WHERE r.name = 'history';
  UPDATE howdah.history_slot h SET left_at = v_now WHERE h.slot = v_slot;
  UPDATE howdah.history_slot h
     SET since = v_now, left_at = NULL, page = NULL, pass_at = '-infinity', pass_for = NULL, remains = true, clean_for = NULL
   WHERE h.slot = v_next;
  RETURN format('turned history to slot %s', v_next);
END $$;
