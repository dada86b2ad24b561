-- howdah.matching(first_ids, counts, filter, kind) -> setof bigint
-- Which jobs of these runs match a filter and are of a kind; NULL in place of either: any. In no order. Opens only the
-- partitions of howdah.job that the ids are in. Internal. Reads: job, job_kept. Cost: a microsecond a job.
CREATE OR REPLACE FUNCTION howdah.matching(first_ids bigint[], counts integer[], filter jsonpath, kind text DEFAULT NULL)
RETURNS SETOF bigint LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_part bigint;
BEGIN
  FOR v_part IN SELECT DISTINCT (f >> 33) & 7 FROM unnest(matching.first_ids) f LOOP
    -- OFFSET 0: run by run, by the index. PostgreSQL 18 forgets enable_seqscan where one partition is left of several,
    -- and would read it whole for each run.
    RETURN QUERY
      SELECT j.id FROM unnest(matching.first_ids, matching.counts) r(first_id, jobs), LATERAL (
          SELECT * FROM howdah.job WHERE ((job.id >> 33) & 7) = v_part AND job.id >= r.first_id AND job.id < r.first_id + r.jobs OFFSET 0) j
       WHERE ((r.first_id >> 33) & 7) = v_part AND (matching.kind IS NULL OR j.kind = matching.kind)
         AND (matching.filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ matching.filter);
  END LOOP;
  IF EXISTS (SELECT FROM howdah.job_kept) THEN
    RETURN QUERY
      SELECT k.id FROM unnest(matching.first_ids, matching.counts) r(first_id, jobs)
        JOIN howdah.job_kept k ON k.id >= r.first_id AND k.id < r.first_id + r.jobs
       WHERE (matching.kind IS NULL OR k.kind = matching.kind)
         AND (matching.filter IS NULL OR coalesce(k.options -> 'attributes', '{}') @@ matching.filter)
         AND NOT EXISTS (SELECT FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((k.id >> 33) & 7) AND j.id = k.id);
  END IF;
END $$;
