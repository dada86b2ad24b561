-- howdah.look_later(job_ids) -> void
-- Has the keeper look at blocked jobs soon after the commit: something happens to one of their parents in a transaction
-- that cannot see what another does. Notifies it unless it is awake anyway. Internal.
-- Writes: second_look. Locks: none that others need. Errors: none.
CREATE OR REPLACE FUNCTION howdah.look_later(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.second_look (job_id, since, look_at)
  SELECT DISTINCT u.id, n.now, n.now FROM unnest(look_later.job_ids) u(id), howdah.now() n(now) WHERE u.id IS NOT NULL;
  IF FOUND THEN
    PERFORM pg_notify('howdah.due', '') FROM howdah.keeper k WHERE k.wakes_at > howdah.now();
  END IF;
END $$;
