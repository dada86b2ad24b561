-- howdah.now() -> timestamptz
-- The one clock: the server's. Tests replace this function to travel in time; nothing else may ask for the time.
-- Cost: none, it is inlined.
CREATE OR REPLACE FUNCTION howdah.now() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN pg_catalog.clock_timestamp();
