-- howdah.unknown_queue(name) -> never returns
-- Says that a queue does not exist and how to make it. Internal: one place, so that every function says it alike.
-- Errors: HD001 (unknown queue).
CREATE OR REPLACE FUNCTION howdah.unknown_queue(name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RAISE EXCEPTION 'there is no queue named %', coalesce(quote_literal(left(unknown_queue.name, 100)), 'NULL')
    USING ERRCODE = 'HD001', COLUMN = 'queue',
      HINT = 'Start a worker that serves it, or create it: SELECT howdah.create_queue(''name'')';
END $$;
