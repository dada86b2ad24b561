-- howdah.try_removal(queue_id, slot, tids, dead_ids) -> integer
-- As remove_jobs; but if that fails, nothing of it is done, the reason is kept in howdah.removal_failure, and the jobs
-- of this queue are left alone for a while: half a minute at first, an hour at most. A statement's timeout counts
-- as a failure too, or one queue's function could keep all others from being pruned.
-- Returns how many jobs were removed; NULL if it failed. Internal to prune.
-- Writes: removal_failure, and see remove_jobs. Errors: none.
CREATE OR REPLACE FUNCTION howdah.try_removal(queue_id integer, slot integer, tids tid[], dead_ids bigint[]) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET lock_timeout = '1s' AS $$
#variable_conflict use_column
DECLARE
  v_removed integer;
  v_message text;
BEGIN
  BEGIN
    v_removed := howdah.remove_jobs(try_removal.queue_id, try_removal.slot, try_removal.tids, try_removal.dead_ids);
    DELETE FROM howdah.removal_failure f WHERE f.queue_id = try_removal.queue_id;
    RETURN v_removed;
  EXCEPTION WHEN lock_not_available THEN
    -- An open transaction has one of the jobs, as howdah.delete does: they are met again by the next walk.
    RETURN 0;
  WHEN query_canceled OR others THEN
    v_message := format('%s (%s)', left(SQLERRM, 1000), SQLSTATE);
  END;
  INSERT INTO howdah.removal_failure AS f (queue_id, failures, failed_at, retry_at, message)
    VALUES (try_removal.queue_id, 1, howdah.now(), howdah.now() + interval '30 seconds', v_message)
    ON CONFLICT (queue_id) DO UPDATE SET failures = f.failures + 1, failed_at = excluded.failed_at, message = excluded.message,
      retry_at = excluded.failed_at + least(interval '30 seconds' * power(2, least(f.failures, 10)), interval '1 hour');
  RETURN NULL;
END $$;
