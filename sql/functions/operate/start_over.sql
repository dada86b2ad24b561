-- howdah.start_over(job_ids) -> void
-- Makes dead jobs ready again with all their attempts; the caller has taken them out of their room. Those that had an
-- expiry lose it: whoever sends an expired job again wants it to run. Internal. Writes: ticket, job, ordered.
CREATE OR REPLACE FUNCTION howdah.start_over(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  j howdah.job;
BEGIN
  FOR j IN SELECT f.* FROM unnest(start_over.job_ids) u(id), LATERAL howdah.find_job(u.id) f WHERE f.options ? 'expires_at' LOOP
    j.options := nullif(j.options - 'expires_at', '{}');
    PERFORM howdah.rewrite_job(j);
  END LOOP;
  PERFORM howdah.join_orders(start_over.job_ids), howdah.put_back(start_over.job_ids, array_fill(0::smallint, ARRAY[cardinality(start_over.job_ids)]));
END $$;
