-- howdah.take_key_again(job_id) -> void
-- Gives a dead job that is to run again the unique key that it had while it lived, if it had one. Internal.
-- Writes: unique_key. Locks: waits for another transaction that takes the same key. Errors: HD003 another job has it.
CREATE OR REPLACE FUNCTION howdah.take_key_again(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  j        howdah.job;
  v_holder bigint;
BEGIN
  SELECT * INTO j FROM howdah.find_job(take_key_again.job_id);
  IF j.options -> 'unique' ->> 'scope' IS DISTINCT FROM 'live' THEN
    RETURN;
  END IF;
  INSERT INTO howdah.unique_key (kind, key, job_id, scope) VALUES (j.kind, j.options -> 'unique' ->> 'key', j.id, 'live') ON CONFLICT DO NOTHING;
  SELECT u.job_id INTO v_holder FROM howdah.unique_key u WHERE u.kind = j.kind AND u.key = j.options -> 'unique' ->> 'key';
  IF v_holder <> j.id THEN
    PERFORM howdah.key_held(j.kind, v_holder);
  END IF;
END $$;
