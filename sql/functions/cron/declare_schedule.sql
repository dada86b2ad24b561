-- howdah.declare_schedule(name, settings, revision) -> boolean
-- What a program does with its schedules when it starts: makes the schedule, or changes what it declares now and did not
-- declare before. So one that declares what was declared last changes nothing, and what others have set by
-- howdah.set_schedule stays over its restarts; a pause stays in any case.
--   settings  as for howdah.set_schedule; null is the default
--   revision  of the declaration, 0 or more; what has a lower one than the last that was put in force is not heard
-- Of two releases with the same revision, the one that started last is heard: each start writes once, and nothing goes
-- back and forth by itself. Returns whether it was something new.
-- Writes: schedule. Locks: its row, and an advisory lock of its name. Errors: as howdah.set_schedule.
CREATE OR REPLACE FUNCTION howdah.declare_schedule(name text, settings jsonb, revision integer DEFAULT 0) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_declared jsonb;
  v_revision integer;
BEGIN
  PERFORM howdah.check_number('revision', to_jsonb(declare_schedule.revision), 0, 2147483647);
  PERFORM howdah.check_settings('schedule', declare_schedule.settings);
  -- Of two who declare one that is new, too, the later revision is heard.
  PERFORM pg_advisory_xact_lock('howdah.schedule'::regclass::oid::bigint << 32 | (hashtext(declare_schedule.name)::bigint & 4294967295));
  SELECT s.declared, s.revision INTO v_declared, v_revision FROM howdah.schedule s WHERE s.name = declare_schedule.name FOR NO KEY UPDATE;
  IF FOUND AND (v_revision > declare_schedule.revision OR (v_declared = declare_schedule.settings AND v_revision = declare_schedule.revision)) THEN
    RETURN false;
  END IF;
  PERFORM howdah.set_schedule(declare_schedule.name, coalesce((
    SELECT jsonb_object_agg(e.key, e.value) FROM jsonb_each(declare_schedule.settings) e WHERE e.value IS DISTINCT FROM v_declared -> e.key), '{}'));
  UPDATE howdah.schedule s SET declared = declare_schedule.settings, revision = declare_schedule.revision WHERE s.name = declare_schedule.name;
  RETURN true;
END $$;
