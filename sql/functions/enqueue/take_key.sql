-- howdah.take_key(kind, key, job_id, scope, expires_at, hold) -> bigint
-- Takes a unique key for a job that is about to be enqueued. Returns NULL if it is taken now, or the job that has it.
-- A key whose period is over is free, and so is one whose job has ended although the key lasts only as long as it:
-- whatever has gone wrong, a key is never lost for good. Internal to howdah.enqueue_unique.
-- hold says whether the caller will change the job that has the key: only then is the key locked on a hit.
-- Writes: unique_key. Locks: the key's row if it is taken or hold is set; waits for a transaction that has it.
CREATE OR REPLACE FUNCTION howdah.take_key(kind text, key text, job_id bigint, scope text, expires_at timestamptz, hold boolean) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  u howdah.unique_key;
BEGIN
  LOOP
    INSERT INTO howdah.unique_key (kind, key, job_id, scope, expires_at)
      VALUES (take_key.kind, take_key.key, take_key.job_id, take_key.scope, take_key.expires_at) ON CONFLICT DO NOTHING;
    IF FOUND THEN
      RETURN NULL;
    END IF;
    -- Looked at without a lock first: a hit that changes nothing must not hold up whoever ends the job.
    SELECT * INTO u FROM howdah.unique_key k WHERE k.kind = take_key.kind AND k.key = take_key.key;
    IF FOUND AND NOT take_key.hold AND NOT howdah.key_is_free(u) THEN
      RETURN u.job_id;
    END IF;
    SELECT * INTO u FROM howdah.unique_key k WHERE k.kind = take_key.kind AND k.key = take_key.key FOR UPDATE;
    -- Gone since: try again.
    CONTINUE WHEN NOT FOUND;
    IF howdah.key_is_free(u) THEN
      UPDATE howdah.unique_key k SET job_id = take_key.job_id, scope = take_key.scope, expires_at = take_key.expires_at
       WHERE k.kind = take_key.kind AND k.key = take_key.key;
      RETURN NULL;
    END IF;
    RETURN u.job_id;
  END LOOP;
END $$;
