-- howdah.reserve_id() -> bigint
-- An id for a job that is enqueued later, with options => '{"id": ...}': for who must know it before the job exists.
-- Costs a number of the sequence, and is never given again. Errors: none.
CREATE OR REPLACE FUNCTION howdah.reserve_id() RETURNS bigint
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $$ SELECT nextval('howdah.block_seq') << 7 $$;
