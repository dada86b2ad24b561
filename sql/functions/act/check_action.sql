-- howdah.check_action(action, settings) -> void
-- Refuses an action that there is not, and settings that are not its own:
--   retry, cancel, purge  {}
--   priority              {"priority": 0 to 9}
--   move                  {"queue": name}
--   reschedule            {"run_at": time} or {"delay": length of time}
-- Internal. Reads: queue. Errors: HD001 unknown queue, HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.check_action(action text, settings jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_queue text := check_action.settings ->> 'queue';
  v_names text[];
BEGIN
  v_names := CASE check_action.action WHEN 'retry' THEN '{}' WHEN 'cancel' THEN '{}' WHEN 'purge' THEN '{}' WHEN 'priority' THEN '{priority}'
                                      WHEN 'move' THEN '{queue}' WHEN 'reschedule' THEN '{run_at,delay}' END;
  IF v_names IS NULL THEN
    RAISE EXCEPTION 'there is no action %', coalesce(quote_literal(left(check_action.action, 100)), 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'action', HINT = 'There are retry, cancel, purge, priority, move and reschedule.';
  END IF;
  IF jsonb_typeof(check_action.settings) IS DISTINCT FROM 'object'
     OR (SELECT count(*) FILTER (WHERE n = ANY (v_names)) <> least(cardinality(v_names), 1) OR count(*) > least(cardinality(v_names), 1)
           FROM jsonb_object_keys(check_action.settings) n) THEN
    RAISE EXCEPTION 'settings of % must be an object with %', check_action.action, CASE v_names WHEN '{}' THEN 'nothing in it' ELSE array_to_string(v_names, ' or ') END
      USING ERRCODE = 'HD002', COLUMN = 'settings';
  END IF;
  IF v_queue IS NOT NULL AND NOT EXISTS (SELECT FROM howdah.queue q WHERE q.name = v_queue) THEN
    PERFORM howdah.unknown_queue(v_queue);
  END IF;
  BEGIN
    PERFORM howdah.check_job('any', coalesce((check_action.settings ->> 'priority')::integer, 5), (check_action.settings ->> 'run_at')::timestamptz,
                             (check_action.settings ->> 'delay')::interval, NULL, NULL);
  EXCEPTION WHEN data_exception THEN
    RAISE EXCEPTION 'settings of % are not valid: %', check_action.action, SQLERRM USING ERRCODE = 'HD002', COLUMN = 'settings';
  END;
END $$;
