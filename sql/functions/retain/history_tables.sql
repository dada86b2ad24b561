-- howdah.history_tables() -> text[]
-- The tables whose rows lie in the four slots of the history ring: howdah.receipt, and those that have a row or several
-- for a job, by job_id. Whoever adds one adds its name here, and it is rotated, carried and pruned with the others.
-- Internal.
CREATE OR REPLACE FUNCTION howdah.history_tables() RETURNS text[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT '{receipt,failure,result,log,past_step}'::text[]
$$;
