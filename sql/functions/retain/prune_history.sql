-- howdah.prune_history(most) -> text
-- Removes by rows what ended and is not kept for as long as its partition: about `most` jobs. Walks over the receipts
-- of one slot after the other, some pages at a time, and remembers where it was. No index serves it, since every
-- completion would pay for that; and when no retention is shorter than the longest, and no queue asks for more than
-- deletion, it does nothing. A walk begins an eighth of the shortest retention after the last one began (10 seconds at
-- least, 10 minutes at most), or when settings have changed; slots too young for anything to be over, and those that
-- were left and found clean, are passed by.
-- Returns what it did, or NULL; what begins with `could not` is for a person to see. Internal to prune.
-- Writes: history_slot, and see try_removal. Locks: rows of history_slot, skipping what another has. Errors: none.
-- Cost: reads at most 4,000 pages of receipts (32 MB, 170,000 receipts).
CREATE OR REPLACE FUNCTION howdah.prune_history(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now      timestamptz := howdah.now();
  -- What is held goes when an application says so: looking whether it has can wait.
  v_shortest interval := (SELECT min(CASE WHEN r.held THEN greatest(r.retention, interval '1 day') ELSE r.retention END)
                            FROM howdah.retentions() r WHERE r.by_rows AND r.outcome < 4);
  v_groups   bigint := howdah.pruned_groups();
  v_budget   integer := 4000;
  v_pages    bigint;
  v_removed  integer := 0;
  v_failed   text;
  s          howdah.history_slot;
  p          record;
BEGIN
  FOR s IN SELECT * FROM howdah.history_slot h
            WHERE v_shortest IS NOT NULL AND h.clean_for IS DISTINCT FROM v_groups AND h.since < v_now - v_shortest
              AND (h.page IS NOT NULL OR h.pass_for IS DISTINCT FROM v_groups
                OR h.pass_at <= v_now - greatest(least(v_shortest / 8, interval '10 minutes'), interval '10 seconds'))
            ORDER BY h.page IS NULL, h.pass_at FOR UPDATE SKIP LOCKED LOOP
    v_pages := pg_relation_size(format('howdah.receipt_%s', s.slot)::regclass) / current_setting('block_size')::bigint;
    IF s.page IS NULL THEN
      s.page := 0;
      s.pass_at := v_now;
      s.pass_for := v_groups;
      s.remains := s.left_at IS NULL OR howdah.is_written(s.slot);
    END IF;
    WHILE s.page < v_pages AND v_budget > 0 AND v_removed = 0 AND v_failed IS NULL LOOP
      SELECT * INTO p FROM howdah.prune_pages(s.slot, s.page, 250, prune_history.most);
      IF NOT s.remains THEN
        s.remains := howdah.may_remain(s.slot, s.page, p.next_page);
      END IF;
      s.page := p.next_page;
      v_removed := p.removed;
      v_failed := p.failed;
      v_budget := v_budget - 250;
    END LOOP;
    IF s.page >= v_pages THEN
      s.page := NULL;
      s.clean_for := CASE WHEN NOT s.remains AND s.pass_for = v_groups THEN v_groups END;
    END IF;
    UPDATE howdah.history_slot h SET page = s.page, pass_at = s.pass_at, pass_for = s.pass_for, remains = s.remains, clean_for = s.clean_for
     WHERE h.slot = s.slot;
    EXIT WHEN v_budget <= 0 OR v_removed > 0 OR v_failed IS NOT NULL;
  END LOOP;
  IF v_failed IS NOT NULL THEN
    RETURN format('could not remove jobs of %s', v_failed);
  ELSIF v_removed > 0 THEN
    RETURN format('pruned %s jobs', v_removed);
  END IF;
  RETURN NULL;
END $$;
