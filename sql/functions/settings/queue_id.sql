-- howdah.queue_id(name) -> integer
-- The id of a queue, which is another one after it was deleted and made again; NULL if there is none. Internal to workers.
-- Reads: queue. Errors: none.
CREATE OR REPLACE FUNCTION howdah.queue_id(name text) RETURNS integer
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT q.id FROM howdah.queue q WHERE q.name = queue_id.name);
END $$;
