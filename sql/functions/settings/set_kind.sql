-- howdah.set_kind(kind, settings) -> jsonb
-- Changes settings of a kind of jobs, in whatever queue they are: SELECT howdah.set_kind('report', '{"lease_ms": 600000}').
--   settings  an object with the settings to change; the others stay. null: as the queue says. Each is a column of
--             howdah.kind; a kind's setting goes before its queue's.
-- Running workers go by it within a second or two. Returns all settings after the change.
-- Writes: kind, command. Locks: its row; nobody who enqueues or claims needs it.
-- Errors: HD002 invalid name, no such setting, or a value that it may not have (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_kind(kind text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_was jsonb := howdah.kind_settings(set_kind.kind);
  v_now jsonb;
BEGIN
  IF set_kind.kind IS NULL OR octet_length(set_kind.kind) NOT BETWEEN 1 AND 128 OR set_kind.kind ~ '[[:cntrl:]]' THEN
    RAISE EXCEPTION 'kind must be 1 to 128 bytes without control characters, not % bytes', coalesce(octet_length(set_kind.kind)::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'kind';
  END IF;
  INSERT INTO howdah.kind (name) VALUES (set_kind.kind) ON CONFLICT DO NOTHING;
  PERFORM howdah.change_settings('kind', set_kind.kind, set_kind.settings);
  -- A kind of which nothing is set needs no row.
  DELETE FROM howdah.kind k WHERE k.name = set_kind.kind AND jsonb_strip_nulls(to_jsonb(k) - 'name') = '{}';
  v_now := howdah.kind_settings(set_kind.kind);
  PERFORM howdah.note_changes('set_kind', jsonb_build_object('kind', set_kind.kind), v_was, v_now);
  RETURN v_now;
END $$;
