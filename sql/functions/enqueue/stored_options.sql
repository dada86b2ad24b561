-- howdah.stored_options(options, now) -> jsonb
-- Options as they are kept with a job: a ttl has become a point in time, and what is not for the job is left out.
-- NULL if nothing is left. Internal to enqueueing. Errors: none, they are checked before.
CREATE OR REPLACE FUNCTION howdah.stored_options(options jsonb, now timestamptz) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_options jsonb := stored_options.options - 'id' - 'ttl_ms';
  v_at      timestamptz;
BEGIN
  IF stored_options.options ? 'ttl_ms' THEN
    v_at := stored_options.now + make_interval(secs => (stored_options.options ->> 'ttl_ms')::float8 / 1000);
  ELSIF stored_options.options ? 'expires_at' THEN
    v_at := howdah.as_time('expires_at', stored_options.options -> 'expires_at');
  END IF;
  IF v_at IS NOT NULL THEN
    v_options := v_options || jsonb_build_object('expires_at', v_at);
  END IF;
  RETURN nullif(v_options, '{}');
END $$;
