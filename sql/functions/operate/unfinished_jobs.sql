-- howdah.unfinished_jobs(queue_id) -> (ready, scheduled, running)
-- How many jobs of a queue have not ended, by state. Reads: ticket, deferred, lease, settled; all of the queue's.
-- Errors: none. Internal to delete_queue.
CREATE OR REPLACE FUNCTION howdah.unfinished_jobs(queue_id integer, OUT ready bigint, OUT scheduled bigint, OUT running bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  -- One statement, so that a job on its way from one room to another is seen in one of them.
  SELECT (SELECT coalesce(sum(t.jobs), 0) FROM howdah.ticket t WHERE t.queue_id = unfinished_jobs.queue_id),
         (SELECT coalesce(sum(d.jobs), 0) FROM howdah.deferred d WHERE d.queue_id = unfinished_jobs.queue_id),
         (SELECT coalesce(sum((SELECT sum(c) FROM unnest(l.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id)), 0)
            FROM howdah.lease l WHERE l.queue_id = unfinished_jobs.queue_id)
    INTO ready, scheduled, running;
END $$;
