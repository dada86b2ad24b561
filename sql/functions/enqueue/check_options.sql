-- howdah.check_options(options) -> void
-- Refuses options that do not exist or make no sense. The options of a job, each of which may be left out:
--   attributes  an object whose values are scalars or arrays of scalars, to find and to filter jobs by; at most 8 KiB
--   expires_at  a point in time, or ttl_ms a number of milliseconds from now: the job does not start after it
--   timeout_ms  how long one attempt may take; 1 to a year
--   retry       {policy: constant, linear or exponential, base_ms, factor, floor_ms, cap_ms, jitter}: what is left
--               out is as the kind or the queue says
--   version     of the payload's type, for the handler; 1 to 32767
--   traceparent the W3C trace context of whoever enqueues
--   limit_key   one to eight texts: so many jobs of each run at the same time as its rule says, see howdah.set_limit
--   order_key   a text: jobs with it run one at a time, in the order enqueued; see order_on_failure
--   order_on_failure  hold (default): a job that failed keeps the others of its order_key waiting until it has succeeded
--               or is dead; pass: they go first until it is due again
--   fair_key    a text: the queue is shared in turns among the values of this
--   depends_on  an array of 1 to 10000 ids of jobs, in any queue: the job is blocked until all of them have ended. Those that
--               have ended count as what they ended as. {"workflow": id} in place of an id is all jobs of a workflow
--   on_parent_failure  what becomes of it when one of them is dead, cancelled or expired: cancel (default): it is cancelled;
--               run: as if it had completed; hold: it stays blocked until that one is sent again and completes
--   weight      how many tokens of a rate it takes to start; 1 to 1000000, default 1
--   id          an id from howdah.reserve_id, for one job
--   unique      written by howdah.enqueue_unique
--   schedule    written by howdah.fire_slot
-- Errors: HD002 (invalid argument), naming the option in COLUMN. Shared by every way to enqueue.
CREATE OR REPLACE FUNCTION howdah.check_options(options jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_key   text;
  v_value jsonb;
BEGIN
  IF jsonb_typeof(check_options.options) <> 'object' THEN
    PERFORM howdah.option_refused('options', 'must be a JSON object, not ' || jsonb_typeof(check_options.options));
  END IF;
  FOR v_key, v_value IN SELECT * FROM jsonb_each(check_options.options) LOOP
    CASE v_key
      WHEN 'attributes' THEN
        PERFORM howdah.check_attributes(v_value);
      WHEN 'expires_at' THEN
        IF check_options.options ? 'ttl_ms' THEN
          PERFORM howdah.option_refused('ttl_ms', 'and expires_at: give one of them, not both');
        END IF;
        PERFORM howdah.as_time(v_key, v_value);
      WHEN 'ttl_ms' THEN
        PERFORM howdah.check_number(v_key, v_value, 0, 3155760000000);
      WHEN 'timeout_ms' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 31557600000);
      WHEN 'retry' THEN
        PERFORM howdah.check_retry(v_value);
      WHEN 'version' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 32767);
      WHEN 'traceparent' THEN
        IF jsonb_typeof(v_value) <> 'string' THEN
          PERFORM howdah.option_refused(v_key, 'must be a text, not ' || jsonb_typeof(v_value));
        END IF;
        PERFORM howdah.check_traceparent(v_value #>> '{}');
      WHEN 'limit_key', 'order_key', 'fair_key', 'order_on_failure' THEN
        PERFORM howdah.check_gate(v_key, v_value, check_options.options);
      WHEN 'depends_on', 'on_parent_failure' THEN
        PERFORM howdah.check_dependencies(v_key, v_value);
      WHEN 'weight' THEN
        PERFORM howdah.check_number(v_key, v_value, 1, 1000000);
      WHEN 'id' THEN
        PERFORM howdah.check_number(v_key, v_value, 128, 9007199254740991);
      WHEN 'unique' THEN
        -- It is believed when a dead job is sent again.
        IF jsonb_typeof(v_value) <> 'object' OR jsonb_typeof(v_value -> 'key') IS DISTINCT FROM 'string'
           OR octet_length(v_value ->> 'key') NOT BETWEEN 1 AND 512
           OR coalesce(v_value ->> 'scope' NOT IN ('live', 'period', 'forever'), true) THEN
          PERFORM howdah.option_refused(v_key, 'is written by howdah.enqueue_unique');
        END IF;
      WHEN 'schedule' THEN
        IF jsonb_typeof(v_value -> 'name') IS DISTINCT FROM 'string' OR jsonb_typeof(v_value -> 'due_at') IS DISTINCT FROM 'string' THEN
          PERFORM howdah.option_refused(v_key, 'is written when a schedule fires');
        END IF;
      ELSE
        PERFORM howdah.option_refused('options', 'have no ' || quote_literal(left(v_key, 100))
          || ': they are attributes, expires_at, ttl_ms, timeout_ms, retry, version, traceparent, limit_key, order_key, '
          || 'order_on_failure, fair_key, weight, depends_on, on_parent_failure and id');
    END CASE;
  END LOOP;
END $$;
