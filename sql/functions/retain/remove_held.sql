-- howdah.remove_held(most, queue) -> setof archive
-- Removes what has reached the end of its retention in queues whose on_removal is 'hold', in the caller's transaction,
-- and returns it: for an application that removes data of its own with its jobs, all or none. The queue's
-- before_removal is called too.
--   most   1 to 10000; jobs that were reported together go together, so there may be up to 499 more
--   queue  NULL: any
-- Call it again until it returns nothing. The keeper leaves these queues alone: nobody else removes their jobs, and
-- the partitions that hold them grow while nobody calls.
-- Writes: receipt, dead, job, and the history tables. Locks: rows of receipt and dead, skipping what others have.
-- Errors: HD001 unknown queue, HD002 invalid argument, what before_removal raises. Cost: reads receipts until it has found `most`.
CREATE OR REPLACE FUNCTION howdah.remove_held(most integer DEFAULT 1000, queue text DEFAULT NULL) RETURNS SETOF howdah.archive
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_left  integer := remove_held.most;
  k       record;
  p       record;
BEGIN
  IF v_left IS NULL OR v_left NOT BETWEEN 1 AND 10000 THEN
    RAISE EXCEPTION 'most must be 1 to 10000, not %', coalesce(v_left::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'most';
  END IF;
  IF remove_held.queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = remove_held.queue) THEN
    PERFORM howdah.unknown_queue(remove_held.queue);
  END IF;
  FOR k IN SELECT array_agg(r.queue_id) AS queue_ids, array_agg(r.outcome) AS outcomes,
                  array_agg(v_now - greatest(r.retention, interval '10 seconds')) AS cuts
             FROM howdah.retentions() r JOIN howdah.queue q ON q.id = r.queue_id
            WHERE r.held AND (remove_held.queue IS NULL OR q.name = remove_held.queue) HAVING count(*) > 0 LOOP
    FOR p IN SELECT * FROM howdah.pick_ended(k.queue_ids, k.outcomes, k.cuts, v_left) LOOP
      RETURN QUERY SELECT * FROM howdah.leaving_jobs(p.slot, p.tids, p.dead_ids);
      PERFORM howdah.remove_jobs(p.queue_id, p.slot, p.tids, p.dead_ids);
    END LOOP;
  END LOOP;
END $$;
