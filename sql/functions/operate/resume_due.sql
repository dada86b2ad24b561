-- howdah.resume_due() -> integer
-- Resumes queues whose pause was for a while that is over. Returns how many those were. Internal to keep.
-- Writes: queue, command. Locks: rows that nobody else has. Errors: none.
CREATE OR REPLACE FUNCTION howdah.resume_due() RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_names   text[];
BEGIN
  v_names := ARRAY(SELECT q.name FROM howdah.queue q WHERE q.resume_at <= howdah.now() FOR NO KEY UPDATE SKIP LOCKED);
  IF v_names <> '{}' THEN
    PERFORM set_config('howdah.made_by', 'keeper', true), set_config('howdah.reason', 'its pause was over', true);
    PERFORM howdah.resume_queue(n) FROM unnest(v_names) n;
    PERFORM set_config('howdah.made_by', '', true), set_config('howdah.reason', '', true);
  END IF;
  RETURN cardinality(v_names);
END $$;
