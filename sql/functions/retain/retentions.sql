-- howdah.retentions() -> (queue_id, outcome, retention, by_rows, held)
-- How long what has ended is kept: a row for each queue and outcome (1 completed, 2 cancelled, 3 expired, 4 dead).
--   by_rows  whether it is removed by rows: dead jobs; what is archived, held or called about; and what is kept for
--            shorter than the longest of outcomes 1 to 3 of all queues, after which partitions are truncated
--   held     nothing goes until an application calls howdah.remove_held
-- Internal; people look at the view howdah.retention. Cost: reads the settings of all queues.
CREATE OR REPLACE FUNCTION howdah.retentions()
RETURNS TABLE (queue_id integer, outcome smallint, retention interval, by_rows boolean, held boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT q.id, o.outcome, o.retention,
         o.outcome = 4 OR q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
           OR o.retention < max(o.retention) FILTER (WHERE o.outcome < 4) OVER (),
         q.on_removal = 'hold'
    FROM howdah.queue q, howdah.config c, LATERAL (VALUES
      (1::smallint, coalesce(q.completed_retention, c.completed_retention, c.history_retention)),
      (2::smallint, coalesce(q.cancelled_retention, c.cancelled_retention, c.history_retention)),
      (3::smallint, coalesce(q.expired_retention, c.expired_retention, c.history_retention)),
      (4::smallint, coalesce(q.dead_retention, c.dead_retention))) o(outcome, retention)
$$;
