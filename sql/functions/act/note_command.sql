-- howdah.note_command(action, settings, made_by, reason, changed) -> void
-- Notes that somebody has done something of which Howdah does not know, such as a switch of the application: a row of howdah.audit
-- without jobs. Call it in the transaction that does it. What the functions of this schema change is noted by themselves.
--   action    what, 1 to 64 bytes: stop_letters
--   settings  of what, an object: {"tenant": "acme"}
--   made_by   who; NULL: the setting howdah.made_by of the transaction, else the user of the session
--   reason    why; NULL: the setting howdah.reason, if there is one
--   changed   of how many jobs
-- Writes: command. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.note_command(action text, settings jsonb, made_by text DEFAULT NULL, reason text DEFAULT NULL,
  changed bigint DEFAULT 0) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF note_command.action IS NULL OR octet_length(note_command.action) NOT BETWEEN 1 AND 64 THEN
    RAISE EXCEPTION 'action must be 1 to 64 bytes' USING ERRCODE = 'HD002', COLUMN = 'action';
  END IF;
  IF jsonb_typeof(note_command.settings) IS DISTINCT FROM 'object' OR octet_length(note_command.settings::text) > 4096 THEN
    RAISE EXCEPTION 'settings must be an object of at most 4096 bytes' USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  PERFORM howdah.note(note_command.action, note_command.settings, note_command.made_by, note_command.reason, changed => coalesce(note_command.changed, 0));
END $$;
