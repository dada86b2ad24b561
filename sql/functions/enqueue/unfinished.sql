-- howdah.unfinished(queue_id, most) -> bigint
-- How many jobs of a queue have not ended: exact if that is less than `most`, else at least `most`.
-- Reads: lease, ticket, deferred: at most `most` rows. Locks: none. Errors: none. Internal to make_room.
-- Cost: a page or so for each lease, and one index entry for each run of jobs.
CREATE OR REPLACE FUNCTION howdah.unfinished(queue_id integer, most bigint) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
BEGIN
  -- One statement, so that a job on its way from one room to another is counted once. Whoever calls this has a lock,
  -- and the statement's snapshot is younger than that.
  RETURN (SELECT coalesce(sum(r.jobs), 0) FROM (
    SELECT x.jobs FROM (
      SELECT (SELECT sum(c) FROM unnest(l.counts) c) - (SELECT count(*) FROM howdah.settled s WHERE s.lease_id = l.id) AS jobs
        FROM howdah.lease l WHERE l.queue_id = unfinished.queue_id) x WHERE x.jobs > 0
    UNION ALL
    SELECT t.jobs FROM howdah.ticket t WHERE t.queue_id = unfinished.queue_id
    UNION ALL
    SELECT d.jobs FROM howdah.deferred d WHERE d.queue_id = unfinished.queue_id
    LIMIT unfinished.most) r);
END $$;
