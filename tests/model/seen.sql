-- What can be seen of a queue from outside, a line for each thing: the model tells the same lines.
CREATE FUNCTION model_us(at timestamptz) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN isfinite(at) THEN (extract(epoch FROM at - timestamptz '2100-01-01 00:00:00+00') * 1000000)::numeric(20, 0)::text ELSE at::text END;
CREATE VIEW model_seen AS
SELECT concat_ws('|', 'job', j.id, j.queue, j.kind, j.state, j.attempt || ' of ' || j.max_attempts, j.priority,
         'enqueued ' || model_us(j.enqueued_at), 'due ' || model_us(j.due_at), 'worker ' || j.worker_id, 'claimed ' || model_us(j.claimed_at),
         'ended ' || model_us(j.ended_at), 'ran ' || j.run_ms,
         'because ' || CASE j.state WHEN 'dead' THEN split_part(j.reason, ':', 1) ELSE j.reason END,
         'expires ' || model_us(j.expires_at), j.payload::text) AS line
  FROM howdah.jobs j
UNION ALL
SELECT concat_ws('|', 'failure', f.job_id, f.attempt, 'at ' || model_us(f.at), f.error_kind,
         CASE WHEN f.error_kind NOT LIKE 'worker\_%' THEN f.message END, 'worker ' || f.worker_id)
  FROM howdah.failures f
UNION ALL
SELECT concat_ws('|', 'queue', q.queue, q.ready, q.running, q.scheduled, q.blocked, q.dead, CASE WHEN q.paused THEN 'paused' END,
         'oldest ' || model_us(q.oldest_ready_at), 'next ' || model_us(q.next_due_at))
  FROM howdah.queues q
UNION ALL
SELECT concat_ws('|', 'limit', l.scope, l.name, l.max_running, 'running ' || l.running, 'blocked ' || l.blocked) FROM howdah.limits l
UNION ALL
SELECT concat_ws('|', 'worker', w.id, w.running, 'heard of ' || model_us(w.heartbeat_at), 'until ' || model_us(w.expires_at)) FROM howdah.workers w;
-- The queue as it is before anything was done, and back to that: quicker than a new database for each history.
CREATE SCHEMA model_before;
CREATE PROCEDURE model_remember() LANGUAGE plpgsql AS $$
DECLARE
  t record;
BEGIN
  FOR t IN SELECT c.relname AS name, pg_relation_size(c.oid) AS size FROM pg_class c
            WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind = 'r' LOOP
    IF t.size > 0 THEN
      EXECUTE format('CREATE TABLE model_before.%1$I AS TABLE howdah.%1$I', t.name);
    END IF;
  END LOOP;
END $$;
CREATE PROCEDURE model_forget() LANGUAGE plpgsql AS $$
DECLARE
  t       record;
  v_empty text;
  v_fill  text[] := '{}';
BEGIN
  FOR t IN SELECT c.relname AS name, to_regclass(format('model_before.%I', c.relname)) IS NOT NULL AS filled,
                  pg_relation_size(c.oid) AS size FROM pg_class c
            WHERE c.relnamespace = 'howdah'::regnamespace AND c.relkind = 'r' AND pg_relation_size(c.oid) > 0 LOOP
    -- Every plan is made anew after a TRUNCATE: only for what is large, and for those that turn when they are empty.
    IF t.size > 1000000 OR t.name ~ '^(job|receipt|failure|result|log|past_step)_[1-9]$' THEN
      v_empty := concat_ws(', ', v_empty, format('howdah.%I', t.name));
    ELSE
      EXECUTE format('DELETE FROM howdah.%I', t.name);
    END IF;
    IF t.filled THEN
      v_fill := v_fill || t.name::text;
    END IF;
  END LOOP;
  IF v_empty IS NOT NULL THEN
    EXECUTE 'TRUNCATE ' || v_empty;
  END IF;
  FOR t IN SELECT u AS name FROM unnest(v_fill) u LOOP
    EXECUTE format('INSERT INTO howdah.%1$I OVERRIDING SYSTEM VALUE TABLE model_before.%1$I', t.name);
  END LOOP;
  PERFORM setval('howdah.block_seq', 1, false), set_config('model.now', '0', false);
END $$;
