-- howdah.doctor_schedules(asked) -> findings, see howdah.doctor_checks
-- Schedules that the keeper cannot work out or fire, and schedules whose slot is over and was not fired. Internal to doctor.
-- Reads: schedule.
CREATE OR REPLACE FUNCTION howdah.doctor_schedules(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT CASE WHEN s.error IS NOT NULL THEN 'problem' ELSE 'warning' END,
      CASE WHEN s.error IS NOT NULL THEN format('schedule %s fails, for the %s. time since %s: %s', s.name, s.failures, howdah.at_text(s.error_at), left(s.error, 300))
           ELSE format('schedule %s should have fired %s ago', s.name, howdah.doctor_span(s.next_at)) END,
      format('SELECT expression, timezone, next_at, error, error_at FROM howdah.schedules WHERE name = %L', s.name),
      CASE WHEN s.error IS NOT NULL THEN 'set right what it says, with howdah.set_schedule; or pause it' ELSE 'see that there is a keeper; until then it can be run by hand' END,
      format(CASE WHEN s.error IS NOT NULL THEN 'SELECT howdah.pause_schedule(%L)' ELSE 'SELECT howdah.run_schedule(%L)' END, s.name),
      jsonb_build_object('schedule', s.name, 'next_at', s.next_at, 'error', s.error, 'failures', s.failures)
      FROM howdah.schedule s
     WHERE s.paused_at IS NULL AND (s.error IS NOT NULL OR s.next_at <= howdah.doctor_ago(doctor_schedules.asked, 'overdue_ms'))
     ORDER BY s.name;
END $$;
