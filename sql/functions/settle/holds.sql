-- howdah.holds(lease_id, job_id) -> boolean
-- Whether a lease still holds a job: what a handler asks before it does something that cannot be undone.
-- True is true at this moment only; complete_in is the way to be sure to the end.
-- Reads: lease, settled, worker. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.holds(lease_id bigint, job_id bigint) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT EXISTS (
    SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), howdah.worker w
     WHERE (l.id & 3) = (holds.lease_id & 3) AND l.id = holds.lease_id AND w.id = l.worker_id
       AND holds.job_id >= r.first_id AND holds.job_id < r.first_id + r.jobs
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = holds.job_id))
$$;
