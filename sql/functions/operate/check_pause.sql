-- howdah.check_pause(by, reason) -> void
-- Refuses what is too long to be said of a pause. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_pause(by text, reason text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF octet_length(check_pause.by) > 256 THEN
    PERFORM howdah.option_refused('by', 'must be at most 256 bytes');
  ELSIF octet_length(check_pause.reason) > 1024 THEN
    PERFORM howdah.option_refused('reason', 'must be at most 1024 bytes');
  END IF;
END $$;
