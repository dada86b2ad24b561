-- howdah.fold_stats(most) -> text
-- Takes what workers have reported within the oldest hour of which something is left, at most `most` rows, and adds it to the statistics
-- of its minute, that hour, its day and since ever: a row of each is written anew for a queue and a kind, however many workers have
-- reported. What is of a queue that is gone is dropped. Returns what it did if there may be more; else NULL. Internal to rotate.
-- Writes: stat_report, stat_minute, stat_hour, stat_day, stat_total. Locks: rows that nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.fold_stats(most integer DEFAULT 10000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE
  v_hour timestamptz := (SELECT date_bin('1 hour', min(r.at), '2000-01-01 00:00:00Z') FROM howdah.stat_report r);
  v_rows bigint;
BEGIN
  IF v_hour IS NULL THEN
    RETURN NULL;
  END IF;
  WITH picked AS (
    SELECT r.tableoid, r.ctid FROM howdah.stat_report r
     WHERE r.at >= v_hour AND r.at < v_hour + interval '1 hour' LIMIT fold_stats.most FOR UPDATE SKIP LOCKED
  ), gone AS (
    DELETE FROM howdah.stat_report r USING picked p WHERE r.tableoid = p.tableoid AND r.ctid = p.ctid RETURNING r.*
  ), known AS (
    SELECT g.* FROM gone g JOIN howdah.queue q ON q.id = g.queue_id
  ), minute AS (
    INSERT INTO howdah.stat_minute AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms)
    SELECT date_bin('1 minute', g.at, '2000-01-01 00:00:00Z'), g.queue_id, g.kind,
           sum(g.completed)::bigint AS completed, sum(g.retried)::bigint AS retried, sum(g.snoozed)::bigint AS snoozed,
           sum(g.dead)::bigint AS dead, sum(g.cancelled)::bigint AS cancelled, sum(g.released)::bigint AS released,
           sum(g.lost)::bigint AS lost, sum(g.run_ms)::bigint AS run_ms, sum(g.wait_ms)::bigint AS wait_ms
      FROM known g GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms
  ), spread AS (
    SELECT p.queue_id, p.kind, array_agg(p.run ORDER BY p.place) AS runs, array_agg(p.wait ORDER BY p.place) AS waits
      FROM (SELECT g.queue_id, g.kind, u.place, sum(coalesce(u.run, 0))::bigint AS run, sum(coalesce(u.wait, 0))::bigint AS wait
              FROM known g, unnest(g.runs, g.waits) WITH ORDINALITY u(run, wait, place) GROUP BY 1, 2, 3) p
     GROUP BY 1, 2
  ), whole AS (
    SELECT c.*, coalesce(p.runs, '{}') AS runs, coalesce(p.waits, '{}') AS waits
      FROM (SELECT g.queue_id, g.kind,
                   sum(g.completed)::bigint AS completed, sum(g.retried)::bigint AS retried, sum(g.snoozed)::bigint AS snoozed,
                   sum(g.dead)::bigint AS dead, sum(g.cancelled)::bigint AS cancelled, sum(g.released)::bigint AS released,
                   sum(g.lost)::bigint AS lost, sum(g.run_ms)::bigint AS run_ms, sum(g.wait_ms)::bigint AS wait_ms
              FROM known g GROUP BY 1, 2) c
      LEFT JOIN spread p ON p.queue_id = c.queue_id AND p.kind = c.kind
  ), hour AS (
    INSERT INTO howdah.stat_hour AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT v_hour, w.queue_id, w.kind, w.completed, w.retried, w.snoozed, w.dead, w.cancelled, w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  ), day AS (
    INSERT INTO howdah.stat_day AS s (at, queue_id, kind, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT date_bin('1 day', v_hour, '2000-01-01 00:00:00Z'), w.queue_id, w.kind, w.completed, w.retried, w.snoozed, w.dead, w.cancelled,
           w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 2, 3
      ON CONFLICT (at, queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  ), total AS (
    INSERT INTO howdah.stat_total AS s (queue_id, kind, at, completed, retried, snoozed, dead, cancelled, released, lost, run_ms, wait_ms, runs, waits)
    SELECT w.queue_id, w.kind, v_hour, w.completed, w.retried, w.snoozed, w.dead, w.cancelled, w.released, w.lost, w.run_ms, w.wait_ms, w.runs, w.waits
      FROM whole w ORDER BY 1, 2
      ON CONFLICT (queue_id, kind) DO UPDATE SET
        completed = s.completed + excluded.completed, retried = s.retried + excluded.retried, snoozed = s.snoozed + excluded.snoozed,
        dead = s.dead + excluded.dead, cancelled = s.cancelled + excluded.cancelled, released = s.released + excluded.released,
        lost = s.lost + excluded.lost, run_ms = s.run_ms + excluded.run_ms, wait_ms = s.wait_ms + excluded.wait_ms,
        runs = howdah.add_counts(s.runs, excluded.runs), waits = howdah.add_counts(s.waits, excluded.waits)
  )
  SELECT count(*) INTO v_rows FROM gone;
  RETURN CASE WHEN v_rows >= fold_stats.most THEN format('added up %s reports', v_rows) END;
END $$;
