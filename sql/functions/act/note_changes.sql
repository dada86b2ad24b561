-- howdah.note_changes(action, of, was, now) -> void
-- Notes who has changed settings, with those that are not what they were; nothing if none is. Internal.
--   of        of what: {"queue": "mail"}
--   was, now  all settings before and after; NULL: none were, or are
-- Writes: command. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note_changes(action text, of jsonb, was jsonb, now jsonb) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT howdah.note(note_changes.action, note_changes.of, changes => jsonb_object_agg(k, note_changes.now -> k))
    FROM jsonb_object_keys(coalesce(note_changes.was, '{}') || coalesce(note_changes.now, '{}')) k
   WHERE note_changes.was -> k IS DISTINCT FROM note_changes.now -> k AND NOT note_changes.of ? k
  HAVING count(*) > 0
$$;
