-- howdah.keep_results(job_ids, results, settled) -> void
-- Keeps what handlers returned, of those of job_ids that are among the settled ones. Internal.
-- Writes: result. Errors: HD002 (invalid argument) with COLUMN results: one is larger than 64 MiB.
CREATE OR REPLACE FUNCTION howdah.keep_results(job_ids bigint[], results jsonb[], settled bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(keep_results.results) r WHERE pg_column_size(r) > 67108864) THEN
    RAISE EXCEPTION 'a result may be 64 MiB' USING ERRCODE = 'HD002', COLUMN = 'results',
      HINT = 'Store large data elsewhere and return its key.';
  END IF;
  INSERT INTO howdah.result (slot, job_id, at, result)
  SELECT g.slot, u.job_id, howdah.now(), u.result
    FROM unnest(keep_results.job_ids, keep_results.results) u(job_id, result), howdah.ring g
   WHERE g.name = 'history' AND u.result IS NOT NULL AND u.job_id = ANY (keep_results.settled);
END $$;
