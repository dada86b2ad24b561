-- howdah.find_job(id) -> job
-- The row that was written when the job was enqueued, or none. Opens the one partition that an id can be in,
-- and then the room of those that outlived theirs. Internal; people use the view howdah.jobs.
CREATE OR REPLACE FUNCTION howdah.find_job(id bigint) RETURNS SETOF howdah.job
LANGUAGE plpgsql STABLE ROWS 1 SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  RETURN QUERY SELECT * FROM howdah.job j WHERE ((j.id >> 33) & 7) = ((find_job.id >> 33) & 7) AND j.id = find_job.id;
  IF NOT FOUND THEN
    RETURN QUERY SELECT * FROM howdah.job_kept j WHERE j.id = find_job.id;
  END IF;
END $$;
