-- howdah.sweep_deleted(most) -> text
-- Cancels what still waits in queues that were deleted: what delete_queue left to do, and jobs whose enqueuers had
-- read the queue before. Forgets the names of queues whose history is gone as well: twice the longest retention
-- after the deletion. At most `most` runs of each room a queue. Internal to rotate.
-- Returns what it did, or NULL. Writes: ticket, deferred, receipt, deleted_queue, removal_failure. Locks: see cancel_waiting.
-- Cost: two index probes for each deleted queue.
CREATE OR REPLACE FUNCTION howdah.sweep_deleted(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  d      record;
  v_jobs bigint;
BEGIN
  FOR d IN SELECT q.id, q.name, q.deleted_at + 2 * greatest(howdah.longest_retention(), c.dead_retention) < howdah.now() AS over
             FROM howdah.deleted_queue q, howdah.config c ORDER BY q.id LOOP
    v_jobs := howdah.cancel_waiting(d.id, sweep_deleted.most);
    IF v_jobs > 0 THEN
      RETURN format('cancelled %s jobs of the deleted queue %s', v_jobs, d.name);
    END IF;
    IF d.over AND NOT EXISTS (SELECT FROM howdah.lease l WHERE l.queue_id = d.id)
       AND NOT EXISTS (SELECT FROM howdah.dead x WHERE x.queue_id = d.id) THEN
      DELETE FROM howdah.deleted_queue q WHERE q.id = d.id;
      DELETE FROM howdah.removal_failure f WHERE f.queue_id = d.id;
      RETURN format('forgot the deleted queue %s', d.name);
    END IF;
  END LOOP;
  RETURN NULL;
END $$;
