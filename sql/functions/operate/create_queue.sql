-- howdah.create_queue(name) -> integer
-- Makes a queue with default settings, or does nothing if it exists. Returns its id.
-- Writes: queue. Locks: none if it exists; another creation of the same name waits for this commit.
-- Errors: HD002 invalid name.
CREATE OR REPLACE FUNCTION howdah.create_queue(name text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id integer;
BEGIN
  IF create_queue.name IS NULL OR octet_length(create_queue.name) NOT BETWEEN 1 AND 128 OR create_queue.name ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'queue must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(create_queue.name)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'queue';
  END IF;
  SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  IF NOT FOUND THEN
    INSERT INTO howdah.queue (name, fresh_slot) SELECT create_queue.name, r.slot FROM howdah.ring r WHERE r.name = 'ticket'
      ON CONFLICT DO NOTHING;
    SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  END IF;
  RETURN v_id;
END $$;
