-- howdah.retry_delay(queue_id, kind, attempt, options, declared) -> interval
-- How long a job waits after its attempt-th attempt failed. Each setting is the job's, or else its kind's in
-- howdah.kind, or else what the worker's program declares for the kind, or else the queue's:
--   constant     base_ms
--   linear       base_ms * attempt
--   exponential  base_ms * factor^(attempt - 1)
-- no more than cap_ms (and 100 years), no less than floor_ms, and then spread by jitter (0.1: up to a tenth more or less), so that what
-- failed together does not come back together. Ten seconds in a queue that was deleted meanwhile: the keeper cancels
-- it there. Internal to howdah.fail.
CREATE OR REPLACE FUNCTION howdah.retry_delay(queue_id integer, kind text, attempt integer, options jsonb, declared jsonb) RETURNS interval
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_job jsonb := retry_delay.options -> 'retry';
  r     record;
BEGIN
  SELECT coalesce(v_job ->> 'policy', k.retry_policy, retry_delay.declared ->> 'policy', q.retry_policy) AS policy,
         coalesce((v_job ->> 'base_ms')::float8, k.retry_base_ms, (retry_delay.declared ->> 'base_ms')::float8, q.retry_base_ms) AS base_ms,
         coalesce((v_job ->> 'factor')::float8, k.retry_factor, (retry_delay.declared ->> 'factor')::float8, q.retry_factor) AS factor,
         coalesce((v_job ->> 'floor_ms')::float8, k.retry_floor_ms, (retry_delay.declared ->> 'floor_ms')::float8, q.retry_floor_ms) AS floor_ms,
         coalesce((v_job ->> 'cap_ms')::float8, k.retry_cap_ms, (retry_delay.declared ->> 'cap_ms')::float8, q.retry_cap_ms) AS cap_ms,
         coalesce((v_job ->> 'jitter')::float8, k.retry_jitter, (retry_delay.declared ->> 'jitter')::float8, q.retry_jitter) AS jitter
    INTO r FROM howdah.queue q LEFT JOIN howdah.kind k ON k.name = retry_delay.kind WHERE q.id = retry_delay.queue_id;
  -- What a worker declares is checked by nobody before: here at the latest no number of it may be one that cannot be read.
  RETURN coalesce(make_interval(secs => least(3155760000000, greatest(r.floor_ms, least(r.cap_ms,
      CASE r.policy WHEN 'constant' THEN r.base_ms WHEN 'linear' THEN r.base_ms * retry_delay.attempt
                    ELSE r.base_ms * power(least(r.factor, 100), least(retry_delay.attempt - 1, 60)) END)))
    * (1 + least(r.jitter, 1) * (2 * random() - 1)) / 1000), interval '10 seconds');
END $$;
