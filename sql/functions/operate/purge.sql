-- howdah.purge(state, older_than, queue, most) -> integer
-- Removes jobs that have ended before their retention is over, now: in the caller's transaction. What a queue wishes
-- for removal holds here too: it archives, and its before_removal is called; only 'hold' does not hold it up.
-- Dead jobs by which others are held (on_parent_failure 'hold') are left: delete them, or let the others go, see howdah.unhold.
--   state       completed, cancelled, expired or dead
--   older_than  how long ago they must have ended; '0' is all of them
--   queue       NULL: any
--   most        1 to 10000; jobs that were reported together go together, so there may be up to 499 more
-- Returns how many were removed. Call it again until that is 0.
-- Writes: receipt or dead, job, archive, command, and the history tables. Locks: rows of receipt and dead, skipping what others have.
-- Errors: HD001 unknown queue, HD002 invalid argument, what before_removal raises.
-- Cost: reads receipts until it has found `most`; dead jobs by an index.
CREATE OR REPLACE FUNCTION howdah.purge(state text, older_than interval, queue text DEFAULT NULL, most integer DEFAULT 1000) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_outcome integer := array_position('{completed,cancelled,expired,dead}'::text[], purge.state);
  v_removed integer := 0;
  k         record;
  p         record;
BEGIN
  IF v_outcome IS NULL THEN
    RAISE EXCEPTION 'state must be completed, cancelled, expired or dead, not %', coalesce(quote_literal(left(purge.state, 100)), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'state', HINT = 'Cancel what has not ended.';
  ELSIF purge.older_than IS NULL OR purge.older_than NOT BETWEEN '0' AND '1000 years' THEN
    RAISE EXCEPTION 'older_than must be 0 to 1000 years, not %', coalesce(purge.older_than::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'older_than';
  ELSIF purge.most IS NULL OR purge.most NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(purge.most::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'most';
  ELSIF purge.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.every_queue() q WHERE q.name = purge.queue) THEN
    PERFORM howdah.unknown_queue(purge.queue);
  END IF;
  FOR k IN SELECT array_agg(q.id) AS queue_ids, array_agg(v_outcome::smallint) AS outcomes, array_agg(howdah.now() - purge.older_than) AS cuts
             FROM howdah.every_queue() q WHERE purge.queue IS NULL OR q.name = purge.queue HAVING count(*) > 0 LOOP
    FOR p IN SELECT * FROM howdah.pick_ended(k.queue_ids, k.outcomes, k.cuts, purge.most) LOOP
      v_removed := v_removed + howdah.remove_jobs(p.queue_id, p.slot, p.tids, p.dead_ids);
    END LOOP;
  END LOOP;
  IF v_removed > 0 THEN
    PERFORM howdah.note('purge', jsonb_strip_nulls(jsonb_build_object('state', purge.state, 'older_than', purge.older_than::text, 'queue', purge.queue)),
      changed => v_removed);
  END IF;
  RETURN v_removed;
END $$;
