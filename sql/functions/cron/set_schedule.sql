-- howdah.set_schedule(name, settings) -> jsonb
-- Makes a schedule, or changes settings of one:
--   SELECT howdah.set_schedule('nightly', '{"expression": "0 3 * * *", "timezone": "Europe/Berlin", "kind": "report"}')
--   settings  an object with the settings to change; the others stay. null: back to the default.
--     expression    five fields, or six with seconds first; @hourly and the like; @every 90s. A new one needs it
--     timezone      an IANA name; UTC
--     kind          of the jobs. A new one needs it
--     payload, queue, priority, max_attempts, options   of the jobs, as for howdah.enqueue
--     unique_key    null; else, while the job of a firing has not ended, the next firing enqueues none
--     missed        what becomes of slots that nobody fired in time: skip (none is fired), one (the last one is), all
--                   (the last max_missed are); skip
--     max_missed    1 to 1000; 100
--     grace_ms      how late a slot may be fired without being missed, a second to a day; a minute
-- A change of the expression or the zone holds from now on: no slot before it is fired any more. What a program declares
-- (howdah.declare_schedule) goes before only if it declares something else than before. A pause stays.
-- Returns all settings. Whether an expression makes sense is for the keeper to say, within a second: the column error of
-- howdah.schedules.
-- Writes: schedule and command, if something differs. Locks: its row; the keeper passes it over meanwhile.
-- Errors: HD001 unknown queue, HD002 (COLUMN names the setting).
CREATE OR REPLACE FUNCTION howdah.set_schedule(name text, settings jsonb) RETURNS jsonb
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now     timestamptz := howdah.now();
  v_old     howdah.schedule;
  v_new     howdah.schedule;
  v_changes jsonb;
  v_field   text;
  v_made    boolean := false;
BEGIN
  IF set_schedule.name IS NULL OR octet_length(set_schedule.name) NOT BETWEEN 1 AND 128 OR set_schedule.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', format('must be 1 to 128 bytes without control characters, not %s bytes',
      coalesce(octet_length(set_schedule.name)::text, 'NULL')));
  END IF;
  PERFORM howdah.check_settings('schedule', set_schedule.settings);
  SELECT * INTO v_old FROM howdah.schedule s WHERE s.name = set_schedule.name FOR NO KEY UPDATE;
  FOREACH v_field IN ARRAY '{expression,kind}'::text[] LOOP
    IF set_schedule.settings -> v_field = 'null' OR (v_old.name IS NULL AND NOT set_schedule.settings ? v_field) THEN
      PERFORM howdah.option_refused(v_field, 'is what a schedule cannot be without');
    END IF;
  END LOOP;
  IF v_old.name IS NULL THEN
    INSERT INTO howdah.schedule (name, expression, kind, created_at, every_from, after_at)
      VALUES (set_schedule.name, set_schedule.settings ->> 'expression', set_schedule.settings ->> 'kind', v_now, v_now, v_now)
      ON CONFLICT DO NOTHING;
    v_made := FOUND;
    SELECT * INTO v_old FROM howdah.schedule s WHERE s.name = set_schedule.name FOR NO KEY UPDATE;
  END IF;
  SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') INTO v_changes FROM jsonb_each(set_schedule.settings) e
   WHERE e.value IS DISTINCT FROM howdah.settings_of('schedule', set_schedule.name) -> e.key;
  IF v_changes <> '{}' THEN
    PERFORM howdah.change_settings('schedule', set_schedule.name, v_changes);
  END IF;
  SELECT * INTO v_new FROM howdah.schedule s WHERE s.name = set_schedule.name;
  PERFORM howdah.check_schedule(v_new);
  IF (v_new.expression, v_new.timezone) IS DISTINCT FROM (v_old.expression, v_old.timezone) THEN
    PERFORM howdah.restart_schedule(set_schedule.name, v_now, v_now);
  ELSIF v_changes <> '{}' OR v_new.created_at = v_now THEN
    -- What stood in the way may be mended.
    PERFORM howdah.restart_schedule(set_schedule.name, v_new.every_from, v_new.after_at);
  END IF;
  IF v_made OR v_changes <> '{}' THEN
    PERFORM howdah.note('set_schedule', jsonb_build_object('schedule', set_schedule.name),
      changes => CASE WHEN v_made THEN set_schedule.settings ELSE v_changes END);
  END IF;
  RETURN howdah.settings_of('schedule', set_schedule.name);
END $$;
