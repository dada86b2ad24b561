-- howdah.change_settings(relation, name, settings) -> void
-- Changes the named settings of a queue ('queue') or a kind ('kind'), and no others; null: back to the default. The
-- values are converted and checked as the table's columns are. Does nothing if there is no such row.
-- Writes: queue or kind. Locks: that row; nobody who enqueues or claims needs it.
-- Errors: HD002, naming the setting in COLUMN and the rule in the message. Internal to set_queue and set_kind.
CREATE OR REPLACE FUNCTION howdah.change_settings(relation text, name text, settings jsonb) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_set        text;
  v_constraint text;
BEGIN
  PERFORM howdah.check_settings(change_settings.relation, change_settings.settings);
  SELECT string_agg(format(CASE WHEN e.value = 'null' THEN '%1$I = DEFAULT' ELSE '%1$I = r.%1$I' END, e.key), ', ') INTO v_set
    FROM jsonb_each(change_settings.settings) e;
  IF v_set IS NOT NULL THEN
    EXECUTE format('UPDATE howdah.%1$I s SET %2$s FROM jsonb_populate_record(NULL::howdah.%1$I, $1) r WHERE s.name = $2',
      change_settings.relation, v_set) USING change_settings.settings, change_settings.name;
  END IF;
EXCEPTION WHEN check_violation THEN
  GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
  PERFORM howdah.setting_refused(change_settings.relation, v_constraint, change_settings.settings);
END $$;
