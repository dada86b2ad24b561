-- howdah.set_config(settings) -> jsonb
-- Changes settings of the whole installation, columns of howdah.config by their names, all or none:
--   history_retention    how long what has ended is kept; 1 day
--   completed_retention, cancelled_retention, expired_retention   by outcome; null: as history_retention
--   dead_retention       how long dead jobs are kept; 30 days
--   signal_retention     how long a signal is kept if its sender does not say; 7 days
--   archive_retention    how long what was archived is kept; null: for ever
--   audit_retention      how long it is kept who did what to jobs; 90 days
--   stats_retention      how long statistics by the hour and by the day are kept; 90 days
-- Lengths of time are texts such as '7 days', 0 to 1000 years. Queues may have their own, see howdah.set_queue.
-- Returns all settings as they are then; '{}' changes nothing. Heard within seconds.
-- Writes: config, command. Locks: its row. Errors: HD002, naming the setting.
CREATE OR REPLACE FUNCTION howdah.set_config(settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  s      record;
  v_type text;
  v_was  jsonb := (SELECT to_jsonb(c) FROM howdah.config c FOR NO KEY UPDATE);
BEGIN
  IF set_config.settings IS NULL OR jsonb_typeof(set_config.settings) <> 'object' THEN
    RAISE EXCEPTION 'settings must be a JSON object' USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  FOR s IN SELECT key, value, value #>> '{}' AS text FROM jsonb_each(set_config.settings) LOOP
    SELECT format_type(a.atttypid, a.atttypmod) INTO v_type FROM pg_attribute a
     WHERE a.attrelid = 'howdah.config'::regclass AND a.attname = s.key AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> 'one';
    IF NOT FOUND THEN
      RAISE EXCEPTION 'there is no setting %', quote_literal(left(s.key, 100)) USING ERRCODE = 'HD002', COLUMN = coalesce(nullif(left(s.key, 63), ''), 'settings'),
        HINT = (SELECT format('There are: %s.', string_agg(j.key, ', ' ORDER BY j.key)) FROM howdah.config c, jsonb_each(to_jsonb(c) - 'one') j);
    END IF;
    BEGIN
      IF v_type = 'interval' AND jsonb_typeof(s.value) NOT IN ('string', 'null') THEN
        RAISE invalid_datetime_format;
      END IF;
      EXECUTE format('UPDATE howdah.config SET %I = $1::%s', s.key, v_type) USING s.text;
    EXCEPTION WHEN data_exception OR integrity_constraint_violation THEN
      RAISE EXCEPTION '% must be %, not %', s.key, CASE v_type WHEN 'interval' THEN 'a length of time from 0 to 1000 years' ELSE 'valid' END,
        left(s.value::text, 100) USING ERRCODE = 'HD002', COLUMN = s.key, HINT = CASE v_type WHEN 'interval' THEN 'Like "7 days", "12 hours" or "0".' END;
    END;
  END LOOP;
  PERFORM howdah.note_changes('set_config', '{}', v_was, (SELECT to_jsonb(c) FROM howdah.config c));
  RETURN (SELECT to_jsonb(c) - 'one' FROM howdah.config c);
END $$;
