-- howdah.resume_due() -> integer
-- Resumes queues whose pause was for a while that is over. Returns how many those were. Internal to keep.
-- Writes: queue. Locks: rows that nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.resume_due() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_names   text[];
BEGIN
  v_names := ARRAY(SELECT q.name FROM howdah.queue q WHERE q.resume_at <= howdah.now() FOR NO KEY UPDATE SKIP LOCKED);
  PERFORM howdah.resume_queue(n) FROM unnest(v_names) n;
  RETURN cardinality(v_names);
END $$;
