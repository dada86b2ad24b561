-- howdah.resign_keeper(worker_id) -> boolean
-- Leaves the keeper's office, so that another is elected at its next heartbeat. Returns whether it was held.
-- Writes: keeper. Errors: none.
CREATE OR REPLACE FUNCTION howdah.resign_keeper(worker_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  UPDATE howdah.keeper k SET expires_at = '-infinity', worker_id = NULL, wakes_at = 'infinity' WHERE k.worker_id = resign_keeper.worker_id;
  RETURN FOUND;
END $$;
