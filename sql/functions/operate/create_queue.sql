-- howdah.create_queue(name, settings) -> integer
-- Makes a queue, or does nothing if it exists: what has been set since its creation stays as it is. Returns its id.
--   settings  NULL: the defaults; else as for howdah.set_queue
-- Workers that already serve a queue of this name are told. Writes: queue, command.
-- Locks: none if it exists; another creation of the same name waits for this commit.
-- Errors: HD002 invalid name or settings.
CREATE OR REPLACE FUNCTION howdah.create_queue(name text, settings jsonb DEFAULT NULL) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_id integer;
BEGIN
  IF create_queue.name IS NULL OR octet_length(create_queue.name) NOT BETWEEN 1 AND 128 OR create_queue.name ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'queue must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(create_queue.name)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'queue';
  END IF;
  IF create_queue.settings IS NOT NULL THEN
    PERFORM howdah.check_settings('queue', create_queue.settings);
  END IF;
  SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
  IF NOT FOUND THEN
    INSERT INTO howdah.queue (name, fresh_slot) SELECT create_queue.name, r.slot FROM howdah.ring r WHERE r.name = 'ticket'
      ON CONFLICT DO NOTHING RETURNING id INTO v_id;
    IF NOT FOUND THEN
      SELECT q.id INTO v_id FROM howdah.queue q WHERE q.name = create_queue.name;
    ELSE
      IF create_queue.settings IS NOT NULL THEN
        PERFORM howdah.change_settings('queue', create_queue.name, create_queue.settings);
      END IF;
      PERFORM howdah.note('create_queue', jsonb_build_object('queue', create_queue.name), changes => coalesce(create_queue.settings, '{}'));
      -- A worker may go on with a queue that was deleted: it does not know the new id.
      PERFORM pg_notify('howdah.queues', create_queue.name);
    END IF;
  END IF;
  RETURN v_id;
END $$;
