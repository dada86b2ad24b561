-- howdah.waits_as(gate) -> text
-- The state of a job in howdah.deferred, by what its row is blocked by: a job in the lane of its share is ready, it only
-- waits for its turn. Internal.
CREATE OR REPLACE FUNCTION howdah.waits_as(gate text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN gate IS NULL THEN 'scheduled' WHEN gate OPERATOR(pg_catalog.^@) 'fair:' THEN 'ready' ELSE 'blocked' END;
