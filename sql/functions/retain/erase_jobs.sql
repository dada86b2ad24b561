-- howdah.erase_jobs(job_ids) -> void
-- Deletes the rows of jobs that are over, and all that is kept of their attempts, but for their receipts. Internal.
-- Writes: job, job_kept, progress, step, and the history tables. Cost: some index probes for each job and table.
CREATE OR REPLACE FUNCTION howdah.erase_jobs(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_table text;
  v_part  bigint;
BEGIN
  FOREACH v_table IN ARRAY howdah.history_tables() LOOP
    IF v_table <> 'receipt' THEN
      EXECUTE format('DELETE FROM howdah.%I h WHERE h.job_id = ANY ($1)', v_table) USING erase_jobs.job_ids;
    END IF;
  END LOOP;
  FOR v_part IN SELECT DISTINCT (u.id >> 33) & 7 FROM unnest(erase_jobs.job_ids) u(id) LOOP
    DELETE FROM howdah.job j WHERE ((j.id >> 33) & 7) = v_part AND j.id = ANY (erase_jobs.job_ids);
  END LOOP;
  DELETE FROM howdah.job_kept k WHERE k.id = ANY (erase_jobs.job_ids);
  DELETE FROM howdah.progress p WHERE p.job_id = ANY (erase_jobs.job_ids);
  DELETE FROM howdah.step s WHERE s.job_id = ANY (erase_jobs.job_ids);
END $$;
