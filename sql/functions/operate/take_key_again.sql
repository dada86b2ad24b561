-- howdah.take_key_again(job_id) -> void
-- As take_keys_again for one job, and says which other job has its key. Internal. Errors: HD003 another job has it.
CREATE OR REPLACE FUNCTION howdah.take_key_again(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  IF howdah.take_keys_again(ARRAY[take_key_again.job_id]) = '{}' THEN
    PERFORM howdah.key_held(j.kind, u.job_id)
       FROM howdah.find_job(take_key_again.job_id) j LEFT JOIN howdah.unique_key u ON u.kind = j.kind AND u.key = j.options -> 'unique' ->> 'key';
  END IF;
END $$;
