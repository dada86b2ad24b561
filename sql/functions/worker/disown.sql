-- howdah.disown(worker_id, known, older_ms) -> integer
-- Gives back every lease of a worker that it does not know of: claims whose answer never reached it. The
-- attempts do not count. Without this they would be held for as long as the worker lives.
--   known     the leases that it does know of
--   older_ms  only leases claimed longer ago than this: claims that may still be on their way are left alone
-- Returns how many jobs that were. Writes: lease, ticket. Locks: lease rows; passes those by that somebody holds, for the next
-- time: the session that asks is the one that heartbeats. Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.disown(worker_id bigint, known bigint[], older_ms integer DEFAULT 0) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_lease bigint;
  v_jobs  integer := 0;
BEGIN
  FOR v_lease IN SELECT l.id FROM howdah.lease l
     WHERE l.worker_id = disown.worker_id AND l.id <> ALL (disown.known)
       AND l.claimed_at < howdah.now() - make_interval(secs => disown.older_ms / 1000.0) ORDER BY l.id FOR UPDATE SKIP LOCKED
  LOOP
    v_jobs := v_jobs + (SELECT count(*) FROM howdah.release(v_lease));
  END LOOP;
  RETURN v_jobs;
END $$;
