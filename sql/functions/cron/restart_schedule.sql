-- howdah.restart_schedule(name, every_from, after_at) -> void
-- Lets the keeper work out anew when a schedule is due, and tells it so. Does nothing to one that is paused, but that
-- what was worked out before holds no more. Internal.
-- Writes: schedule. Notifies the keeper at commit.
CREATE OR REPLACE FUNCTION howdah.restart_schedule(name text, every_from timestamptz, after_at timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.schedule s
     SET turn = s.turn + 1, every_from = restart_schedule.every_from, after_at = restart_schedule.after_at, next_at = NULL,
         look_at = CASE WHEN s.paused_at IS NULL THEN '-infinity'::timestamptz ELSE 'infinity' END, failures = 0, error = NULL, error_at = NULL
   WHERE s.name = restart_schedule.name;
  PERFORM pg_notify('howdah.due', 'cron');
END $$;
