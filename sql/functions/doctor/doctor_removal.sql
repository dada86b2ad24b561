-- howdah.doctor_removal(asked) -> findings, see howdah.doctor_checks
-- Queues whose jobs cannot be removed though their retention is over: what is to be called before (before_removal) or the
-- archive fails, and history grows. Internal to doctor. Reads: removal_failure.
CREATE OR REPLACE FUNCTION howdah.doctor_removal(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT 'warning', format('jobs of queue %s that have outlived their retention cannot be removed (tried %s times): %s', coalesce(q.name, f.queue_id::text), f.failures, left(f.message, 300)),
      'SELECT queue, before_removal, on_removal, failed_at, failure, retry_at FROM howdah.retention WHERE failure IS NOT NULL',
      format('mend it; it is tried again at %s. Or let them go without the call', howdah.at_text(f.retry_at)),
      format('SELECT howdah.set_queue(%L, ''{"before_removal": null}'')', q.name),
      jsonb_build_object('queue', q.name, 'failures', f.failures, 'failed_at', f.failed_at, 'retry_at', f.retry_at, 'message', f.message)
      FROM howdah.removal_failure f LEFT JOIN howdah.queue q ON q.id = f.queue_id
     -- A queue that asks nobody any more is not tried again: its jobs go by truncation.
     WHERE f.retry_at > howdah.now() - interval '1 hour' OR q.on_removal <> 'delete' OR q.before_removal IS NOT NULL
     ORDER BY f.failed_at;
END $$;
