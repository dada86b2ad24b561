-- howdah.expire_at(expires_at, first_ids, jobs) -> void
-- Notes when jobs expire, and tells the keeper if it means to sleep longer. Internal to enqueue_many: `jobs` jobs in
-- runs of 128, the last one shorter.
-- Writes: expiry. Errors: none.
CREATE OR REPLACE FUNCTION howdah.expire_at(expires_at timestamptz, first_ids bigint[], jobs integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.expiry (job_id, expires_at)
  SELECT b.first_id + g, expire_at.expires_at
    FROM unnest(expire_at.first_ids) WITH ORDINALITY b(first_id, n), generate_series(0, least(128, expire_at.jobs - (b.n - 1)::integer * 128) - 1) g;
  PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > expire_at.expires_at;
END $$;
