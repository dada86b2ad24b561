-- howdah.lease_ms(wished, heartbeat_ms) -> integer
-- How long a lease lasts for a worker that heartbeats so often: as was wished, but two heartbeats at least, or a
-- worker that lives would be robbed between two of them. Internal to rescue.
CREATE OR REPLACE FUNCTION howdah.lease_ms(wished integer, heartbeat_ms integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN greatest(wished, 2 OPERATOR(pg_catalog.*) heartbeat_ms);
