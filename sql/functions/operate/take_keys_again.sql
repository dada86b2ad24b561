-- howdah.take_keys_again(job_ids) -> bigint[]
-- Gives dead jobs that are to run again the unique keys that they had while they lived. Returns those that may run: they
-- had none, or have it again. Internal.
-- Writes: unique_key. Locks: waits for another transaction that takes the same key. Errors: none.
CREATE OR REPLACE FUNCTION howdah.take_keys_again(job_ids bigint[]) RETURNS bigint[]
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_held bigint[];
BEGIN
  -- A key may have a row and be free: see take_key.
  DELETE FROM howdah.unique_key k WHERE k.ctid = ANY (ARRAY(
    SELECT x.ctid FROM howdah.find_jobs(take_keys_again.job_ids) j, LATERAL (
      SELECT h.ctid, h AS held FROM howdah.unique_key h
       WHERE h.kind = j.kind AND h.key = j.options -> 'unique' ->> 'key' AND h.job_id <> j.id FOR UPDATE SKIP LOCKED) x
     WHERE howdah.key_is_free(x.held)));
  WITH wanted AS (
    SELECT j.id, j.kind, j.options -> 'unique' ->> 'key' AS key
      FROM howdah.find_jobs(take_keys_again.job_ids) j WHERE j.options -> 'unique' ->> 'scope' = 'live'),
  taken AS (
    INSERT INTO howdah.unique_key (kind, key, job_id, scope) SELECT w.kind, w.key, w.id, 'live' FROM wanted w ORDER BY w.kind, w.key, w.id
    ON CONFLICT DO NOTHING RETURNING unique_key.job_id)
  SELECT array_agg(w.id) INTO v_held FROM wanted w
   WHERE NOT EXISTS (SELECT FROM taken t WHERE t.job_id = w.id)
     AND NOT EXISTS (SELECT FROM howdah.unique_key k WHERE k.kind = w.kind AND k.key = w.key AND k.job_id = w.id);
  RETURN ARRAY(SELECT u.id FROM unnest(take_keys_again.job_ids) u(id) WHERE v_held IS NULL OR u.id <> ALL (v_held) ORDER BY u.id);
END $$;
