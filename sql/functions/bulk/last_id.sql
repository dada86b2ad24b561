-- howdah.last_id() -> bigint
-- The greatest id that a job may have by now: what is enqueued from here on has greater ones. Internal.
CREATE OR REPLACE FUNCTION howdah.last_id() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT s.last_value << 7 | 127 FROM howdah.block_seq s);
END $$;
