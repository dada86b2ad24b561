-- howdah.retry_delay(queue_id, attempt) -> interval
-- How long a job waits after its attempt-th attempt failed: base * factor^(attempt - 1), capped, and then
-- spread by the queue's jitter, so that what failed together does not come back together. Ten seconds in a queue that
-- was deleted meanwhile: the keeper cancels it there. Internal.
CREATE OR REPLACE FUNCTION howdah.retry_delay(queue_id integer, attempt integer) RETURNS interval
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN coalesce((SELECT make_interval(secs => least(q.retry_cap_ms, q.retry_base_ms * power(q.retry_factor::float8, least(retry_delay.attempt - 1, 60)))
                               * (1 + q.retry_jitter * (2 * random() - 1)) / 1000)
    FROM howdah.queue q WHERE q.id = retry_delay.queue_id), interval '10 seconds');
END $$;
