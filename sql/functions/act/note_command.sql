-- howdah.note_command(action, settings, made_by, reason) -> void
-- Notes that somebody has done something that is not of jobs, such as pausing a queue: a row of howdah.audit without jobs. Call it in
-- the transaction that does it.
--   action    what, 1 to 64 bytes: pause_queue
--   settings  of what, an object: {"queue": "mail"}
--   made_by   who; NULL: the user of the session
--   reason    why; may be NULL
-- Writes: command. Locks: none. Errors: HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.note_command(action text, settings jsonb, made_by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF note_command.action IS NULL OR octet_length(note_command.action) NOT BETWEEN 1 AND 64 THEN
    RAISE EXCEPTION 'action must be 1 to 64 bytes' USING ERRCODE = 'HD002', COLUMN = 'action';
  END IF;
  IF jsonb_typeof(note_command.settings) IS DISTINCT FROM 'object' OR octet_length(note_command.settings::text) > 4096 THEN
    RAISE EXCEPTION 'settings must be an object of at most 4096 bytes' USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  INSERT INTO howdah.command (action, settings, job_ids, changed, made_at, made_by, reason)
  VALUES (note_command.action, note_command.settings, '{}', 0, howdah.now(),
          left(coalesce(note_command.made_by, session_user::text), 256), left(note_command.reason, 1024));
END $$;
