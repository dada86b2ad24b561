-- howdah.delete_queue(queue, force) -> boolean
-- Deletes a queue: its name is free, and unknown until it is created again. Returns false if there is none.
--   force  false (default): only if it has no unfinished jobs. true: cancels what waits, some of it at once and the rest by and
--          by (the keeper's chore; none of it can be claimed meanwhile), and refuses only while something runs.
-- Its history can still be read in howdah.jobs. Dead jobs are history; they cannot be retried any more. Its workers go
-- on looking, and find it again when it is created. A job that somebody enqueues while it is deleted, by a transaction
-- that had begun or by a client that has not heard of it (for a second), is cancelled by the keeper, and seen so.
-- What a claim is taking at this very moment runs to its end.
-- Writes: queue, command, deleted_queue, sleeper, flow_rule, stat_total; ticket, deferred and receipt if forced. Locks: the queue's row; nobody who
-- enqueues or claims needs it.
-- Errors: HD002 the queue is 'default', which always exists. HD006 it is not empty; nothing was done.
CREATE OR REPLACE FUNCTION howdah.delete_queue(queue text, force boolean DEFAULT false) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue howdah.queue;
  v_left  record;
BEGIN
  IF delete_queue.queue = 'default' THEN
    RAISE EXCEPTION 'the queue default cannot be deleted: jobs that name no queue go there'
      USING ERRCODE = 'HD002', COLUMN = 'queue', HINT = 'To stop it: SELECT howdah.pause_queue(''default'')';
  END IF;
  DELETE FROM howdah.queue q WHERE q.name = delete_queue.queue RETURNING q.* INTO v_queue;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  INSERT INTO howdah.deleted_queue (id, name, deleted_at, deleted_by, was)
    VALUES (v_queue.id, v_queue.name, howdah.now(), session_user, to_jsonb(v_queue));
  DELETE FROM howdah.sleeper s WHERE s.queue_id = v_queue.id;
  DELETE FROM howdah.stat_total s WHERE s.queue_id = v_queue.id;
  DELETE FROM howdah.flow_rule f WHERE f.scope = 'queue' AND f.name = v_queue.name;
  IF delete_queue.force THEN
    PERFORM howdah.cancel_waiting(v_queue.id, 1000);
  END IF;
  -- Looked at last: what a claim took before it could be cancelled is seen to run.
  SELECT * INTO v_left FROM howdah.unfinished_jobs(v_queue.id);
  IF v_left.running > 0 OR (NOT coalesce(delete_queue.force, false) AND v_left.ready + v_left.scheduled > 0) THEN
    RAISE EXCEPTION 'queue % is not empty: % ready, % scheduled, % running', delete_queue.queue, v_left.ready, v_left.scheduled, v_left.running
      USING ERRCODE = 'HD006', COLUMN = 'queue', HINT = CASE
        WHEN delete_queue.force THEN 'Pause it, and delete it when nothing runs any more: SELECT howdah.pause_queue(''name'')'
        ELSE 'Let its workers finish, or cancel what waits: SELECT howdah.delete_queue(''name'', force => true)' END;
  END IF;
  PERFORM howdah.note('delete_queue', jsonb_build_object('queue', delete_queue.queue),
    changes => CASE WHEN delete_queue.force THEN '{"force": true}' ELSE '{}' END::jsonb);
  RETURN true;
END $$;
