-- howdah.note(action, of, made_by, reason, changes, changed) -> void
-- A row of howdah.audit without jobs, in the transaction that does it. Internal: what people do calls it, and note_command.
--   of       of what: {"queue": "mail"}
--   made_by  who, see who_acts
--   reason   why; NULL: the setting howdah.reason, if there is one
--   changes  what has been set, by name; only the names are kept of what is longer than some 4000 bytes
--   changed  how many jobs it was about
-- Writes: command. Locks: none. Errors: none.
CREATE OR REPLACE FUNCTION howdah.note(action text, of jsonb, made_by text DEFAULT NULL, reason text DEFAULT NULL, changes jsonb DEFAULT '{}',
  changed bigint DEFAULT 0) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  INSERT INTO howdah.command (action, settings, job_ids, changed, made_at, made_by, reason)
  VALUES (note.action, note.of || CASE WHEN octet_length(note.changes::text) <= 4000 THEN note.changes
            ELSE jsonb_build_object('set', (SELECT left(string_agg(k, ' '), 4000) FROM jsonb_object_keys(note.changes) k)) END,
          '{}', note.changed, howdah.now(),
          howdah.who_acts(note.made_by), left(coalesce(note.reason, nullif(current_setting('howdah.reason', true), '')), 1024))
$$;
