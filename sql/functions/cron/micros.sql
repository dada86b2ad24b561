-- howdah.micros(at) -> bigint
-- A point in time as microseconds since 1970: the reverse of howdah.at_micros. NULL for NULL.
CREATE OR REPLACE FUNCTION howdah.micros(at timestamptz) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (extract(epoch FROM micros.at) * 1000000)::bigint;
END $$;
