-- howdah.pick_receipts(slot, first_page, pages, queue_ids, outcomes, cuts, most) -> (queue_id, tids, jobs, last_page)
-- Locks receipts in some pages of a slot, of the given queues and outcomes, that ended before the cut of each, until
-- they stand for `most` jobs or more. A row for each queue. last_page: where the last one that was picked lies.
-- A receipt goes as a whole, so these may be up to 499 jobs more. Internal.
-- Locks: rows of receipt, skipping what others have. Cost: reads the pages in their order, nothing else.
CREATE OR REPLACE FUNCTION howdah.pick_receipts(slot integer, first_page bigint, pages bigint, queue_ids integer[], outcomes smallint[],
  cuts timestamptz[], most integer)
RETURNS TABLE (queue_id integer, tids tid[], jobs bigint, last_page bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  r         record;
  v_tids    tid[] := '{}';
  v_queues  integer[] := '{}';
  v_counts  bigint[] := '{}';
  v_jobs    bigint := 0;
  v_last    bigint;
BEGIN
  FOR r IN EXECUTE format('
    SELECT e.ctid AS tid, e.queue_id, (SELECT sum(c) FROM unnest(e.counts) c) AS jobs
      FROM howdah.receipt_%s e JOIN unnest($1, $2, $3) k(queue_id, outcome, cut) ON k.queue_id = e.queue_id AND k.outcome = e.outcome
     WHERE e.ctid >= $4 AND e.ctid < $5 AND e.at < k.cut FOR UPDATE OF e SKIP LOCKED', pick_receipts.slot)
    USING pick_receipts.queue_ids, pick_receipts.outcomes, pick_receipts.cuts,
          format('(%s,0)', pick_receipts.first_page)::tid, format('(%s,0)', pick_receipts.first_page + pick_receipts.pages)::tid
  LOOP
    v_tids := v_tids || r.tid;
    v_queues := v_queues || r.queue_id;
    v_counts := v_counts || r.jobs;
    v_jobs := v_jobs + r.jobs;
    IF v_jobs >= pick_receipts.most THEN
      v_last := (r.tid::text::point)[0];
      EXIT;
    END IF;
  END LOOP;
  RETURN QUERY SELECT u.queue_id, array_agg(u.tid), sum(u.jobs)::bigint, v_last
                 FROM unnest(v_queues, v_tids, v_counts) u(queue_id, tid, jobs) GROUP BY u.queue_id;
END $$;
