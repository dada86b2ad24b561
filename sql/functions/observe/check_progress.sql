-- howdah.check_progress(percent, checkpoint) -> void
-- Refuses what no progress may be. Internal to report_progress and note_progress.
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_progress(percent real, checkpoint jsonb DEFAULT NULL) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  -- NaN is greater than every number.
  IF check_progress.percent NOT BETWEEN 0 AND 100 THEN
    RAISE EXCEPTION 'percent must be 0 to 100, not %', check_progress.percent USING ERRCODE = 'HD002', COLUMN = 'percent';
  END IF;
  IF octet_length(check_progress.checkpoint::text) > 65536 THEN
    RAISE EXCEPTION 'checkpoint is % bytes as text, and may be at most 65536', octet_length(check_progress.checkpoint::text)
      USING ERRCODE = 'HD002', COLUMN = 'checkpoint', HINT = 'Store large data elsewhere and keep its key in the checkpoint.';
  END IF;
END $$;
