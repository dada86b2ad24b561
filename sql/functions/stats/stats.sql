-- howdah.stats(since, of_queue, of_kind)
-- How attempts ended, and how long they ran and waited, for each queue and kind, over the last hours.
--   since        how far back, up to 1000 years; the whole hours that it touches, by UTC, are taken. NULL: since ever
--   of_queue, of_kind  only this one; NULL: all
--   completed, retried, snoozed, dead, cancelled, released, lost   attempts, by what became of them
--   run_ms, wait_ms   of all of them together. runs, waits: how many took how long, see howdah.stat_hour and howdah.percentile
--   run_p50_ms, run_p99_ms     how long attempts ran
--   wait_p50_ms, wait_p99_ms   how long jobs waited for their first attempt since they were enqueued, a delay that was asked for included
-- What workers have counted: it is up to twenty seconds old, and a worker that was killed takes along what it had not told.
-- Reads: stat_hour or stat_total, queue. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.stats(since interval DEFAULT '1 hour', of_queue text DEFAULT NULL, of_kind text DEFAULT NULL)
RETURNS TABLE (queue text, kind text, completed bigint, retried bigint, snoozed bigint, dead bigint, cancelled bigint, released bigint,
  lost bigint, run_ms bigint, wait_ms bigint, runs bigint[], waits bigint[], run_p50_ms double precision, run_p99_ms double precision,
  wait_p50_ms double precision, wait_p99_ms double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue integer := (SELECT q.id FROM howdah.queue q WHERE q.name = stats.of_queue);
  v_from  timestamptz;
BEGIN
  IF stats.since NOT BETWEEN '0' AND '1000 years' THEN
    RAISE EXCEPTION 'since must be 0 to 1000 years, not %', stats.since USING ERRCODE = 'HD002', COLUMN = 'since';
  ELSIF stats.of_queue IS NOT NULL AND v_queue IS NULL THEN
    PERFORM howdah.unknown_queue(stats.of_queue);
  END IF;
  v_from := date_bin('1 hour', howdah.now() - stats.since, '2000-01-01 00:00:00Z');
  RETURN QUERY
    WITH h AS (
      SELECT s.* FROM howdah.stat_hour s
       WHERE stats.since IS NOT NULL AND s.at >= v_from AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
      UNION ALL
      SELECT s.* FROM howdah.stat_total s
       WHERE stats.since IS NULL AND (stats.of_queue IS NULL OR s.queue_id = v_queue) AND (stats.of_kind IS NULL OR s.kind = stats.of_kind)
    ), counted AS (
      SELECT h.queue_id, h.kind, sum(h.completed)::bigint AS completed, sum(h.retried)::bigint AS retried, sum(h.snoozed)::bigint AS snoozed,
             sum(h.dead)::bigint AS dead, sum(h.cancelled)::bigint AS cancelled, sum(h.released)::bigint AS released,
             sum(h.lost)::bigint AS lost, sum(h.run_ms)::bigint AS run_ms, sum(h.wait_ms)::bigint AS wait_ms
        FROM h GROUP BY 1, 2
    ), placed AS (
      SELECT h.queue_id, h.kind, u.place, sum(u.run)::bigint AS run, sum(u.wait)::bigint AS wait
        FROM h, unnest(h.runs, h.waits) WITH ORDINALITY u(run, wait, place) GROUP BY 1, 2, 3
    ), spread AS (
      SELECT p.queue_id, p.kind, array_agg(coalesce(p.run, 0) ORDER BY p.place) AS runs, array_agg(coalesce(p.wait, 0) ORDER BY p.place) AS waits
        FROM placed p GROUP BY 1, 2
    )
    SELECT q.name::text, c.kind, c.completed, c.retried, c.snoozed, c.dead, c.cancelled, c.released, c.lost, c.run_ms, c.wait_ms,
           coalesce(s.runs, '{}'), coalesce(s.waits, '{}'), howdah.percentile(s.runs, 0.5), howdah.percentile(s.runs, 0.99),
           howdah.percentile(s.waits, 0.5), howdah.percentile(s.waits, 0.99)
      FROM counted c
      JOIN howdah.queue q ON q.id = c.queue_id
      LEFT JOIN spread s ON s.queue_id = c.queue_id AND s.kind = c.kind
     ORDER BY 1, 2;
END $$;
