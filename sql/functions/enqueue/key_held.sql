-- howdah.key_held(kind, job_id) -> never returns
-- Says which job has a unique key. Errors: HD003. Internal.
CREATE OR REPLACE FUNCTION howdah.key_held(kind text, job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'job % of kind % has this unique key', coalesce(key_held.job_id::text, '?'), quote_literal(key_held.kind)
    USING ERRCODE = 'HD003', COLUMN = 'key', DETAIL = coalesce(key_held.job_id::text, ''),
      HINT = 'Wait until it has ended, cancel it, or enqueue with on_hit => ''keep'' to be given its id instead of an error.';
END $$;
