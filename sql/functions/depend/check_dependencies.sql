-- howdah.check_dependencies(field, value) -> void
-- Refuses a depends_on or on_parent_failure that makes no sense. Internal to check_options.
-- Errors: HD002 (invalid argument), naming the option in COLUMN.
CREATE OR REPLACE FUNCTION howdah.check_dependencies(field text, value jsonb) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad jsonb;
BEGIN
  IF check_dependencies.field = 'on_parent_failure' THEN
    IF check_dependencies.value NOT IN ('"cancel"', '"run"', '"hold"') THEN
      PERFORM howdah.option_refused(check_dependencies.field, 'must be cancel, run or hold, not ' || left(check_dependencies.value::text, 100));
    END IF;
    RETURN;
  END IF;
  IF jsonb_typeof(check_dependencies.value) <> 'array' THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must be an array of ids of jobs, or of workflows such as {"workflow": 5}, not ' || jsonb_typeof(check_dependencies.value));
  END IF;
  IF jsonb_array_length(check_dependencies.value) NOT BETWEEN 1 AND 10000 THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must name 1 to 10000 jobs, not ' || jsonb_array_length(check_dependencies.value));
  END IF;
  SELECT e INTO v_bad FROM jsonb_array_elements(check_dependencies.value) e
   WHERE jsonb_typeof(e) <> 'number' AND NOT howdah.is_workflow(e) LIMIT 1;
  IF NOT FOUND THEN
    SELECT e INTO v_bad FROM jsonb_array_elements(check_dependencies.value) e
     WHERE CASE WHEN jsonb_typeof(e) = 'number' THEN (e #>> '{}')::numeric NOT BETWEEN 128 AND 9007199254740991 OR scale((e #>> '{}')::numeric) > 0 END LIMIT 1;
  END IF;
  IF v_bad IS NOT NULL THEN
    PERFORM howdah.option_refused(check_dependencies.field, 'must hold ids of jobs, or {"workflow": id}, and not ' || left(v_bad::text, 100));
  END IF;
END $$;
