-- howdah.expire_jobs(job_ids, attempts) -> void
-- Ends jobs that were not started in time: as expired, or as dead if their queue says so. The caller has taken them out
-- of the room that they were in. Internal.
-- Writes: receipt or dead; and see howdah.ended.
CREATE OR REPLACE FUNCTION howdah.expire_jobs(job_ids bigint[], attempts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  x record;
BEGIN
  -- The jobs of a queue that was deleted meanwhile end all the same, as its row said.
  FOR x IN SELECT j.id, j.queue_id, j.kind, j.priority, u.attempt, q.on_expiry, j.options ->> 'expires_at' AS expires_at
             FROM unnest(expire_jobs.job_ids, expire_jobs.attempts) u(id, attempt), LATERAL howdah.find_job(u.id) j
             JOIN howdah.every_queue() q ON q.id = j.queue_id ORDER BY j.id LOOP
    IF x.on_expiry = 'dead' THEN
      PERFORM howdah.bury(x.id, x.queue_id, x.kind, x.priority, x.attempt, 'expired: it was not started before ' || x.expires_at);
    ELSE
      PERFORM howdah.write_receipt(3, x.queue_id, NULL, NULL, ARRAY[x.id], ARRAY[x.attempt]);
    END IF;
  END LOOP;
END $$;
