-- howdah.rates(since) -> (queue, in_per_minute, out_per_minute, failed_per_minute)
-- How fast each queue was filled and emptied lately.
--   since             over how long, a minute to a day
--   in_per_minute     jobs that came: those that ended, and by how much the queue has grown. What was cancelled while it waited, or has
--                     expired, is missing. NULL: not known, since the queue was looked at less than twice or is too large to be counted
--   out_per_minute    jobs that have completed, are dead, or were cancelled while they ran
--   failed_per_minute attempts that have failed
-- Reads: stat_minute, stat_depth, queue. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.rates(since interval DEFAULT '10 minutes')
RETURNS TABLE (queue text, in_per_minute double precision, out_per_minute double precision, failed_per_minute double precision)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now  timestamptz := howdah.now();
  v_from timestamptz;
BEGIN
  IF rates.since IS NULL OR rates.since NOT BETWEEN '1 minute' AND '1 day' THEN
    RAISE EXCEPTION 'since must be 1 minute to 1 day, not %', coalesce(rates.since::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'since';
  END IF;
  v_from := date_bin('1 minute', v_now - rates.since, '2000-01-01 00:00:00Z');
  RETURN QUERY
    WITH minute AS (
      SELECT s.at, s.queue_id, sum(s.completed + s.dead + s.cancelled) AS ended, sum(s.retried + s.dead) AS failed
        FROM howdah.stat_minute s WHERE s.at >= v_from GROUP BY 1, 2
    ), flow AS (
      SELECT m.queue_id, sum(m.ended) AS ended, sum(m.failed) AS failed FROM minute m GROUP BY 1
    ), depth AS (
      SELECT d.queue_id, min(d.at) AS first_at, max(d.at) AS last_at, extract(epoch FROM max(d.seen_at) - min(d.seen_at)) / 60 AS minutes,
             (array_agg(d.unfinished ORDER BY d.at DESC))[1] - (array_agg(d.unfinished ORDER BY d.at))[1] AS grown
        FROM howdah.stat_depth d WHERE d.at >= v_from GROUP BY 1 HAVING NOT bool_or(d.more) AND min(d.at) < max(d.at)
    ), came AS (
      SELECT d.queue_id, (d.grown + coalesce(sum(m.ended), 0)) / d.minutes AS per_minute
        FROM depth d LEFT JOIN minute m ON m.queue_id = d.queue_id AND m.at >= d.first_at AND m.at < d.last_at
       GROUP BY d.queue_id, d.grown, d.minutes
    )
    SELECT q.name::text, CASE WHEN c.per_minute IS NOT NULL THEN greatest(c.per_minute, 0)::double precision END, (coalesce(f.ended, 0) / x.minutes)::double precision,
           (coalesce(f.failed, 0) / x.minutes)::double precision
      FROM howdah.queue q
     CROSS JOIN (SELECT greatest(extract(epoch FROM v_now - v_from) / 60, 1) AS minutes) x
      LEFT JOIN flow f ON f.queue_id = q.id
      LEFT JOIN came c ON c.queue_id = q.id
     ORDER BY 1;
END $$;
