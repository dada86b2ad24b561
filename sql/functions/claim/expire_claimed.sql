-- howdah.expire_claimed(lease_id, at) -> void
-- Ends the jobs of a lease that had expired at the time of the claim. Internal to howdah.claim, which does not return
-- them. Writes: lease; and see expire_jobs.
CREATE OR REPLACE FUNCTION howdah.expire_claimed(lease_id bigint, at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_ids      bigint[];
  v_attempts smallint[];
BEGIN
  SELECT array_agg(j.id) INTO v_ids
    FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
         LATERAL howdah.find_job(r.first_id + g) j
   WHERE (l.id & 3) = (expire_claimed.lease_id & 3) AND l.id = expire_claimed.lease_id
     AND (j.options ->> 'expires_at')::timestamptz <= expire_claimed.at;
  SELECT array_agg(t.job_id), array_agg((t.attempt - 1)::smallint) INTO v_ids, v_attempts
    FROM howdah.take_from_lease(expire_claimed.lease_id, v_ids) t WHERE v_ids IS NOT NULL;
  PERFORM howdah.expire_jobs(v_ids, v_attempts);
END $$;
