-- howdah.check_step(name, result, field) -> void
-- Refuses what no step or signal may be called, and what is larger than may be kept of one. Internal.
--   field  what `result` is called by the caller
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_step(name text, result jsonb DEFAULT NULL, field text DEFAULT 'result') RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bytes integer := octet_length(check_step.result::text);
BEGIN
  IF check_step.name IS NULL OR octet_length(check_step.name) NOT BETWEEN 1 AND 128 OR check_step.name ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('name', 'must be 1 to 128 bytes without control characters');
  END IF;
  IF v_bytes > 262144 THEN
    RAISE EXCEPTION '% of % is % bytes as text, and may be at most 262144', check_step.field, quote_literal(check_step.name), v_bytes
      USING ERRCODE = 'HD002', COLUMN = check_step.field, HINT = 'Store large data elsewhere and keep its key.';
  END IF;
END $$;
