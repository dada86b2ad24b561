-- howdah.pick_ended(queue_ids, outcomes, cuts, most) -> (queue_id, slot, tids, dead_ids)
-- Locks what ended before the cut of each queue and outcome (1 completed, 2 cancelled, 3 expired, 4 dead), wherever it
-- is, until it is `most` jobs or more: receipts by slot and ctid, dead jobs by their ids. Dead jobs
-- by which others are held are left. Internal.
-- Locks: rows of receipt and dead, skipping what others have. Cost: reads receipts until it has found enough.
CREATE OR REPLACE FUNCTION howdah.pick_ended(queue_ids integer[], outcomes smallint[], cuts timestamptz[], most integer)
RETURNS TABLE (queue_id integer, slot integer, tids tid[], dead_ids bigint[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_left bigint := pick_ended.most;
  v_jobs bigint;
  k      record;
  p      record;
BEGIN
  FOR slot IN SELECT h.slot FROM howdah.history_slot h ORDER BY h.since, h.slot LOOP
    EXIT WHEN v_left <= 0;
    FOR p IN SELECT * FROM howdah.pick_receipts(slot, 0, pg_relation_size(format('howdah.receipt_%s', slot)::regclass)
                / current_setting('block_size')::bigint, pick_ended.queue_ids, pick_ended.outcomes, pick_ended.cuts, v_left::integer) LOOP
      v_left := v_left - p.jobs;
      queue_id := p.queue_id;
      tids := p.tids;
      dead_ids := '{}';
      RETURN NEXT;
    END LOOP;
  END LOOP;
  slot := NULL;
  tids := '{}';
  FOR k IN SELECT u.queue_id, u.cut FROM unnest(pick_ended.queue_ids, pick_ended.outcomes, pick_ended.cuts) u(queue_id, outcome, cut)
            WHERE u.outcome = 4 LOOP
    EXIT WHEN v_left <= 0;
    queue_id := k.queue_id;
    dead_ids := ARRAY(SELECT d.job_id FROM howdah.dead d WHERE d.queue_id = k.queue_id AND d.died_at < k.cut AND NOT howdah.holds_others(d.job_id)
                       ORDER BY d.died_at LIMIT v_left FOR UPDATE SKIP LOCKED);
    v_left := v_left - cardinality(dead_ids);
    IF dead_ids <> '{}' THEN
      RETURN NEXT;
    END IF;
  END LOOP;
END $$;
