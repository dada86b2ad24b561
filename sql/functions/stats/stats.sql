-- howdah.stats(since, of_queue, of_kind)
-- How attempts ended, and how long they ran and waited, for each queue and kind, over the last hours.
--   since        how far back, up to 1000 years; the whole hours that it touches, by UTC, are taken. NULL: since ever
--   of_queue, of_kind  only this one; NULL: all
--   completed, retried, snoozed, dead, cancelled, released, lost   attempts, by what became of them
--   run_ms, wait_ms   of all of them together. runs, waits: how many took how long, see howdah.stat_hour and howdah.percentile
--   run_p50_ms, run_p99_ms     how long attempts ran
--   wait_p50_ms, wait_p99_ms   how long jobs waited for their first attempt since they were enqueued, a delay that was asked for included
-- What workers have counted: it is up to twenty seconds old, and a worker that was killed takes along what it had not told.
-- Reads: stat_hour of the first day and stat_day of the others, or stat_total; queue. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.stats(since interval DEFAULT '1 hour', of_queue text DEFAULT NULL, of_kind text DEFAULT NULL)
RETURNS TABLE (queue text, kind text, completed bigint, retried bigint, snoozed bigint, dead bigint, cancelled bigint, released bigint,
  lost bigint, run_ms bigint, wait_ms bigint, runs bigint[], waits bigint[], run_p50_ms double precision, run_p99_ms double precision,
  wait_p50_ms double precision, wait_p99_ms double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue integer := (SELECT q.id FROM howdah.queue q WHERE q.name = stats.of_queue);
  v_from  timestamptz;
  -- The first midnight of UTC since then: what comes after it is added up by days.
  v_day   timestamptz;
BEGIN
  IF stats.since NOT BETWEEN '0' AND '1000 years' THEN
    RAISE EXCEPTION 'since must be 0 to 1000 years, not %', stats.since USING ERRCODE = 'HD002', COLUMN = 'since';
  ELSIF stats.of_queue IS NOT NULL AND v_queue IS NULL THEN
    PERFORM howdah.unknown_queue(stats.of_queue);
  END IF;
  v_from := date_bin('1 hour', howdah.now() - stats.since, '2000-01-01 00:00:00Z');
  v_day := date_bin('1 day', v_from + interval '23 hours', '2000-01-01 00:00:00Z');
  RETURN QUERY
    WITH h AS (
      SELECT s.* FROM howdah.stat_hour s
       WHERE stats.since IS NOT NULL AND s.at >= v_from AND s.at < v_day
         AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
      UNION ALL
      SELECT s.* FROM howdah.stat_day s
       WHERE stats.since IS NOT NULL AND s.at >= v_day AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
      UNION ALL
      SELECT s.* FROM howdah.stat_total s
       WHERE stats.since IS NULL AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
    ), counted AS (
      -- Place by place, in one pass: the 24 that an array may have.
      SELECT h.queue_id, h.kind, sum(h.completed)::bigint AS completed, sum(h.retried)::bigint AS retried, sum(h.snoozed)::bigint AS snoozed,
             sum(h.dead)::bigint AS dead, sum(h.cancelled)::bigint AS cancelled, sum(h.released)::bigint AS released,
             sum(h.lost)::bigint AS lost, sum(h.run_ms)::bigint AS run_ms, sum(h.wait_ms)::bigint AS wait_ms,
             (ARRAY[sum(h.runs[1]), sum(h.runs[2]), sum(h.runs[3]), sum(h.runs[4]), sum(h.runs[5]), sum(h.runs[6]), sum(h.runs[7]), sum(h.runs[8]),
                    sum(h.runs[9]), sum(h.runs[10]), sum(h.runs[11]), sum(h.runs[12]), sum(h.runs[13]), sum(h.runs[14]), sum(h.runs[15]), sum(h.runs[16]),
                    sum(h.runs[17]), sum(h.runs[18]), sum(h.runs[19]), sum(h.runs[20]), sum(h.runs[21]), sum(h.runs[22]), sum(h.runs[23]), sum(h.runs[24])]::bigint[])[1:max(cardinality(h.runs))] AS runs,
             (ARRAY[sum(h.waits[1]), sum(h.waits[2]), sum(h.waits[3]), sum(h.waits[4]), sum(h.waits[5]), sum(h.waits[6]), sum(h.waits[7]), sum(h.waits[8]),
                    sum(h.waits[9]), sum(h.waits[10]), sum(h.waits[11]), sum(h.waits[12]), sum(h.waits[13]), sum(h.waits[14]), sum(h.waits[15]), sum(h.waits[16]),
                    sum(h.waits[17]), sum(h.waits[18]), sum(h.waits[19]), sum(h.waits[20]), sum(h.waits[21]), sum(h.waits[22]), sum(h.waits[23]), sum(h.waits[24])]::bigint[])[1:max(cardinality(h.waits))] AS waits
        FROM h GROUP BY 1, 2
    )
    SELECT q.name::text, c.kind, c.completed, c.retried, c.snoozed, c.dead, c.cancelled, c.released, c.lost, c.run_ms, c.wait_ms,
           c.runs, c.waits, howdah.percentile(c.runs, 0.5), howdah.percentile(c.runs, 0.99),
           howdah.percentile(c.waits, 0.5), howdah.percentile(c.waits, 0.99)
      FROM counted c JOIN howdah.queue q ON q.id = c.queue_id
     ORDER BY 1, 2;
END $$;
