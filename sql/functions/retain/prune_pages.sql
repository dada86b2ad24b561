-- howdah.prune_pages(slot, first_page, pages, most) -> (removed, next_page, failed)
-- One step of the walk over the receipts of a slot: removes what is over in some pages, about `most` jobs.
--   next_page  where to go on: after these pages, or among them if there may be more
--   failed     the queues whose jobs could not be removed
-- Internal to prune_history. Writes: see try_removal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune_pages(slot integer, first_page bigint, pages bigint, most integer,
  OUT removed integer, OUT next_page bigint, OUT failed text)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now      timestamptz := howdah.now();
  v_queues   integer[];
  v_outcomes smallint[];
  v_cuts     timestamptz[];
  v_removed  integer;
  p          record;
BEGIN
  removed := 0;
  next_page := prune_pages.first_page + prune_pages.pages;
  -- Not in its first seconds: its worker, and who waits for it, may still look for how it ended.
  SELECT array_agg(r.queue_id), array_agg(r.outcome), array_agg(v_now - greatest(r.retention, interval '10 seconds'))
    INTO v_queues, v_outcomes, v_cuts
    FROM howdah.retentions() r
   WHERE r.by_rows AND NOT r.held AND r.outcome < 4
     AND NOT EXISTS (SELECT FROM howdah.removal_failure f WHERE f.queue_id = r.queue_id AND f.retry_at > v_now);
  FOR p IN SELECT * FROM howdah.pick_receipts(prune_pages.slot, prune_pages.first_page, prune_pages.pages, v_queues, v_outcomes, v_cuts,
                                              prune_pages.most) LOOP
    next_page := coalesce(p.last_page, next_page);
    v_removed := howdah.try_removal(p.queue_id, prune_pages.slot, p.tids, '{}');
    removed := removed + coalesce(v_removed, 0);
    IF v_removed IS NULL THEN
      failed := concat_ws(', ', failed, (SELECT format('queue %s: %s', q.name, f.message) FROM howdah.removal_failure f, howdah.queue q
                                          WHERE f.queue_id = p.queue_id AND q.id = p.queue_id));
    END IF;
  END LOOP;
END $$;
