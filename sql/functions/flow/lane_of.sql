-- howdah.lane_of(queue_id, fair_key) -> text
-- The gate behind which the jobs of a share wait for their turn: fair:QUEUE:HASH:KEY. Lanes take turns in the order of the
-- hashes. Internal.
CREATE OR REPLACE FUNCTION howdah.lane_of(queue_id integer, fair_key text) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN format('fair:%s:%s:%s', lane_of.queue_id, lpad(to_hex(hashtextextended(lane_of.fair_key, 0) & 1125899906842623), 13, '0'), lane_of.fair_key);
END $$;
