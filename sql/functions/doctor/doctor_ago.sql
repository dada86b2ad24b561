-- howdah.doctor_ago(asked, name) -> timestamptz
-- The time so long ago as a limit says that is in milliseconds; a century at most. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_ago(asked jsonb, name text) RETURNS timestamptz
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT howdah.now() - make_interval(secs => (least(howdah.doctor_limit(asked, name), 3155760000000) / 1000)::double precision)
$$;
