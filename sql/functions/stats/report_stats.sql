-- howdah.report_stats(rows) -> integer
-- Takes down what a worker has counted; the keeper adds it to the statistics within some seconds, see fold_stats.
--   rows  a JSON array of objects, one for each queue and kind, at most 1000 of them: queue_id, kind, and counts that may be left
--         out: completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, and the arrays runs and waits (see
--         howdah.stat_hour)
-- Returns how many rows it took: what is of a queue that is gone is left out. Nobody checks what is reported: it decides nothing.
-- Writes: stat_report. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.report_stats(rows jsonb) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_now   timestamptz := howdah.now();
  v_slot  smallint := (SELECT r.slot FROM howdah.ring r WHERE r.name = 'stat_report');
  v_taken integer;
BEGIN
  IF report_stats.rows IS NULL OR jsonb_typeof(report_stats.rows) <> 'array' OR jsonb_array_length(report_stats.rows) > 1000 THEN
    RAISE EXCEPTION 'rows must be a JSON array of at most 1000 objects' USING ERRCODE = 'HD002', COLUMN = 'rows';
  END IF;
  INSERT INTO howdah.stat_report (slot, at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
  SELECT v_slot, v_now, t.queue_id, left(t.kind, 256), greatest(t.completed, 0), greatest(t.retried, 0), greatest(t.snoozed, 0),
         greatest(t.dead, 0), greatest(t.cancelled, 0), greatest(t.released, 0), greatest(t.lost, 0), greatest(t.run_ms, 0),
         greatest(t.wait_ms, 0), coalesce(t.runs[1:24], '{}'), coalesce(t.waits[1:24], '{}')
    FROM jsonb_to_recordset(report_stats.rows) AS t(queue_id integer, kind text, completed bigint, retried bigint, snoozed bigint,
           dead bigint, cancelled bigint, released bigint, lost bigint, run_ms bigint, wait_ms bigint, runs bigint[], waits bigint[])
    JOIN howdah.queue q ON q.id = t.queue_id
   WHERE t.kind IS NOT NULL;
  GET DIAGNOSTICS v_taken = ROW_COUNT;
  RETURN v_taken;
END $$;
