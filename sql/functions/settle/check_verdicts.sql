-- howdah.check_verdicts(job_ids, verdicts, delay_ms) -> void
-- Refuses verdicts that do not exist, delays out of range, and a job named twice. Internal to howdah.fail.
-- Errors: HD002, naming the field.
CREATE OR REPLACE FUNCTION howdah.check_verdicts(job_ids bigint[], verdicts text[], delay_ms bigint[])
RETURNS void LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_bad text;
BEGIN
  SELECT v INTO v_bad FROM unnest(check_verdicts.verdicts) v WHERE v NOT IN ('retry', 'discard', 'cancel', 'snooze', 'wait') LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'verdict must be retry, discard, cancel, snooze or wait, not %', quote_literal(left(v_bad, 100))
      USING ERRCODE = 'HD002', COLUMN = 'verdicts';
  END IF;
  SELECT d INTO v_bad FROM unnest(check_verdicts.delay_ms) d WHERE d NOT BETWEEN 0 AND 3155760000000 LIMIT 1;
  IF FOUND THEN
    RAISE EXCEPTION 'delay_ms must be 0 to 100 years, not %', v_bad USING ERRCODE = 'HD002', COLUMN = 'delay_ms';
  END IF;
  IF check_verdicts.job_ids IS NULL OR cardinality(check_verdicts.job_ids) <> (SELECT count(DISTINCT j) FROM unnest(check_verdicts.job_ids) j) THEN
    RAISE EXCEPTION 'job_ids must name each job once' USING ERRCODE = 'HD002', COLUMN = 'job_ids';
  END IF;
END $$;
