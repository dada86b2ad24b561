-- howdah.wake_limited(queue_ids) -> void
-- Wakes the workers of those of these queues that have a limit, because jobs have left a lease. Internal. Reads: flow_rule.
CREATE OR REPLACE FUNCTION howdah.wake_limited(queue_ids integer[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM howdah.flow_rule f WHERE f.scope = 'queue' AND f.max_running IS NOT NULL) THEN
    PERFORM howdah.wake(q.id) FROM howdah.queue q JOIN howdah.flow_rule f ON f.scope = 'queue' AND f.name = q.name
     WHERE q.id = ANY (wake_limited.queue_ids) AND f.max_running IS NOT NULL;
  END IF;
END $$;
