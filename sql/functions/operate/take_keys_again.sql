-- howdah.take_keys_again(job_ids) -> bigint[]
-- Gives dead jobs that are to run again the unique keys that they had while they lived. Returns those that may run: they
-- had none, or have it again. Internal.
-- Writes: unique_key. Locks: keys; waits for another transaction that takes the same one. Errors: none.
CREATE OR REPLACE FUNCTION howdah.take_keys_again(job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_held bigint[];
BEGIN
  -- A key that was left with its job when that died may just be taken over: see ended_slowly.
  PERFORM FROM howdah.unique_key k WHERE k.job_id = ANY (take_keys_again.job_ids) AND k.scope = 'live' ORDER BY k.kind, k.key FOR UPDATE;
  -- A key may have a row and be free: see take_key.
  DELETE FROM howdah.unique_key k WHERE k.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.find_jobs(take_keys_again.job_ids) j, LATERAL (
      SELECT h.ctid, h AS held FROM howdah.unique_key h
       WHERE h.kind = j.kind AND h.key = j.options -> 'unique' ->> 'key' AND h.job_id <> j.id FOR UPDATE SKIP LOCKED) x
     WHERE howdah.key_is_free(x.held)));
  INSERT INTO howdah.unique_key (kind, key, job_id, scope)
  SELECT j.kind, j.options -> 'unique' ->> 'key', j.id, 'live' FROM howdah.find_jobs(take_keys_again.job_ids) j
   WHERE j.options -> 'unique' ->> 'scope' = 'live' ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING;
  -- In a statement of its own, which sees what those did for whom that one waited.
  SELECT array_agg(j.id) INTO v_held FROM howdah.find_jobs(take_keys_again.job_ids) j
   WHERE j.options -> 'unique' ->> 'scope' = 'live'
     AND NOT EXISTS (SELECT FROM howdah.unique_key k WHERE k.kind = j.kind AND k.key = j.options -> 'unique' ->> 'key' AND k.job_id = j.id);
  RETURN ARRAY(SELECT u.id FROM unnest(take_keys_again.job_ids) u(id) WHERE v_held IS NULL OR u.id <> ALL (v_held) ORDER BY u.id);
END $$;
