-- howdah.minutes(since, of_queue) -> (at, queue, completed, retried, dead, cancelled, run_ms, unfinished, more)
-- What each minute brought to each queue: how attempts ended, and how many jobs were unfinished at some time of it.
--   since       how far back, up to a day
--   of_queue    only this one; NULL: all
--   unfinished  NULL: nobody looked. more: there were more than were counted
-- A minute in which nothing was reported and nobody looked is left out. Reads: stat_minute, stat_depth, queue. Locks: none.
-- Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.minutes(since interval DEFAULT '1 hour', of_queue text DEFAULT NULL)
RETURNS TABLE (at timestamptz, queue text, completed bigint, retried bigint, dead bigint, cancelled bigint, run_ms bigint,
  unfinished bigint, more boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue integer := (SELECT q.id FROM howdah.queue q WHERE q.name = minutes.of_queue);
  v_from  timestamptz;
BEGIN
  IF minutes.since IS NULL OR minutes.since NOT BETWEEN '0' AND '1 day' THEN
    RAISE EXCEPTION 'since must be 0 to 1 day, not %', coalesce(minutes.since::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'since';
  ELSIF minutes.of_queue IS NOT NULL AND v_queue IS NULL THEN
    PERFORM howdah.unknown_queue(minutes.of_queue);
  END IF;
  v_from := date_bin('1 minute', howdah.now() - minutes.since, '2000-01-01 00:00:00Z');
  RETURN QUERY
    SELECT m.at, q.name::text, coalesce(m.completed, 0), coalesce(m.retried, 0), coalesce(m.dead, 0), coalesce(m.cancelled, 0),
           coalesce(m.run_ms, 0), m.unfinished, coalesce(m.more, false)
      FROM (SELECT coalesce(s.at, d.at) AS at, coalesce(s.queue_id, d.queue_id) AS queue_id, s.completed, s.retried, s.dead,
                   s.cancelled, s.run_ms, d.unfinished, d.more
              FROM (SELECT e.at, e.queue_id, sum(e.completed)::bigint AS completed, sum(e.retried)::bigint AS retried,
                           sum(e.dead)::bigint AS dead, sum(e.cancelled)::bigint AS cancelled, sum(e.run_ms)::bigint AS run_ms
                      FROM howdah.stat_minute e WHERE e.at >= v_from AND (minutes.of_queue IS NULL OR e.queue_id = v_queue) GROUP BY 1, 2) s
              FULL JOIN (SELECT e.at, e.queue_id, e.unfinished, e.more
                           FROM howdah.stat_depth e WHERE e.at >= v_from AND (minutes.of_queue IS NULL OR e.queue_id = v_queue)) d
                     ON d.at = s.at AND d.queue_id = s.queue_id) m
      JOIN howdah.queue q ON q.id = m.queue_id
     ORDER BY 2, 1;
END $$;
