-- howdah.doctor_limits(limits) -> jsonb
-- From where on the doctor says something, with some of it changed by an object; null in it: as it was. Milliseconds, bytes and
-- percents where the name says so; numbers else.
-- Errors: HD002 no such limit, or none that is a number from 0 on (COLUMN limits).
CREATE OR REPLACE FUNCTION howdah.doctor_limits(limits jsonb DEFAULT NULL) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  -- unserved_ms: jobs of a queue or kind that nobody serves. overdue_ms: the keeper's delay. dead_rows: rows that autovacuum
  -- has not come to. horizon_xids: how many transactions a slot or a standby lags. freeze_xids: before wraparound, at 2 billion.
  c_usual CONSTANT jsonb := '{"waiting_ms": 300000, "unserved_ms": 60000, "paused_ms": 3600000, "overdue_ms": 10000,
    "dead_per_hour": 100, "payload_percent": 80, "ring_bytes": 67108864, "bloat_bytes": 67108864, "dead_rows": 100000,
    "transaction_ms": 300000, "horizon_xids": 1000000, "slot_wal_bytes": 1073741824, "notify_percent": 25,
    "connections_percent": 80, "freeze_xids": 500000000, "clock_ms": 2000}';
  v_wrong text;
BEGIN
  IF doctor_limits.limits IS NULL THEN
    RETURN c_usual;
  END IF;
  IF jsonb_typeof(doctor_limits.limits) <> 'object' THEN
    RAISE EXCEPTION 'limits must be an object, like {"waiting_ms": 600000}' USING ERRCODE = 'HD002', COLUMN = 'limits';
  END IF;
  SELECT e.key INTO v_wrong FROM jsonb_each(doctor_limits.limits) e
   WHERE NOT c_usual ? e.key OR jsonb_typeof(e.value) NOT IN ('number', 'null') OR (jsonb_typeof(e.value) = 'number' AND e.value::numeric NOT BETWEEN 0 AND 1e15)
   ORDER BY e.key LIMIT 1;
  IF v_wrong IS NOT NULL THEN
    RAISE EXCEPTION '% is no limit that can be set so', quote_literal(v_wrong) USING ERRCODE = 'HD002', COLUMN = 'limits',
      HINT = 'a number from 0 to 10^15 for one of ' || (SELECT string_agg(k, ', ' ORDER BY k) FROM jsonb_object_keys(c_usual) k);
  END IF;
  RETURN c_usual || jsonb_strip_nulls(doctor_limits.limits);
END $$;
