-- howdah.live_jobs(slot, most) -> setof bigint
-- The ids of jobs in a partition of howdah.job that are not over (waiting, running or dead) and still need
-- their row there, at most `most` of them. One statement, so that a job on its way from one room to another
-- is seen in one of them. Internal to rotate. Cost: reads all tickets, deferred, leases and dead.
CREATE OR REPLACE FUNCTION howdah.live_jobs(slot integer, most integer) RETURNS SETOF bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT l.id FROM (
    SELECT t.first_id + g AS id FROM howdah.ticket t, generate_series(0, t.jobs - 1) g WHERE ((t.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT d.first_id + g FROM howdah.deferred d, generate_series(0, d.jobs - 1) g WHERE ((d.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT r.first_id + g FROM howdah.lease e, unnest(e.first_ids, e.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE ((r.first_id >> 33) & 7) = live_jobs.slot
    UNION ALL
    SELECT x.job_id FROM howdah.dead x WHERE ((x.job_id >> 33) & 7) = live_jobs.slot) l
   WHERE NOT EXISTS (SELECT FROM howdah.job_kept k WHERE k.id = l.id) LIMIT most
$$;
