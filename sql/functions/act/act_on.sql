-- howdah.act_on(action, job_ids, settings, states) -> bigint
-- Does something to those of these jobs (each given once) that are in one of these states when it comes to them. Returns
-- how many were changed. Internal to act and step_operation, which have checked the arguments.
-- Writes: see retry_many, cancel_many, purge_dead, delete, change, reschedule. Locks: rows of the rooms, in the order of ids; waits
-- for whoever has them. Errors: HD005 the queue is full.
CREATE OR REPLACE FUNCTION howdah.act_on(action text, job_ids bigint[], settings jsonb, states text[]) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_done bigint := 0;
  v_some record;
  v_next bigint := 0;
  v_id   bigint;
BEGIN
  IF cardinality(act_on.job_ids) = 0 THEN
    RETURN 0;
  ELSIF act_on.action = 'retry' THEN
    RETURN (SELECT r.retried FROM howdah.retry_many(states => act_on.states, ids => act_on.job_ids, most => 10000) r);
  ELSIF act_on.action = 'cancel' THEN
    -- More than once only if jobs kept moving.
    FOR round IN 1..10 LOOP
      EXIT WHEN v_next IS NULL;
      SELECT * INTO v_some FROM howdah.cancel_many(states => act_on.states, ids => act_on.job_ids, most => 10000, after => v_next);
      v_done := v_done + v_some.cancelled + v_some.cancelling;
      v_next := v_some.next;
    END LOOP;
    RETURN v_done;
  ELSIF act_on.action = 'purge' AND 'dead' = ANY (act_on.states) THEN
    v_done := (SELECT p.purged FROM howdah.purge_dead(ids => act_on.job_ids, most => 10000) p);
  END IF;
  IF act_on.states <@ '{dead}' AND act_on.action = 'purge' THEN
    RETURN v_done;
  END IF;
  FOR v_id IN
    -- A dead job of a deleted queue is history: it can be deleted, or moved.
    SELECT j.id FROM howdah.find_jobs(act_on.job_ids) j
     WHERE act_on.action IN ('purge', 'move') OR EXISTS (SELECT FROM howdah.queue q WHERE q.id = j.queue_id) ORDER BY j.id LOOP
    CONTINUE WHEN NOT howdah.may_act_on(v_id, act_on.states);
    CASE act_on.action
      WHEN 'purge' THEN PERFORM howdah.delete(v_id);
      WHEN 'priority' THEN PERFORM howdah.change(v_id, priority => (act_on.settings ->> 'priority')::integer);
      WHEN 'move' THEN PERFORM howdah.change(v_id, queue => act_on.settings ->> 'queue');
      WHEN 'reschedule' THEN PERFORM howdah.reschedule(v_id, (act_on.settings ->> 'run_at')::timestamptz, (act_on.settings ->> 'delay')::interval);
    END CASE;
    v_done := v_done + 1;
  END LOOP;
  RETURN v_done;
END $$;
