-- howdah.doctor_limit(asked, name) -> numeric
-- One limit of howdah.doctor_limits, as a check was asked with it. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_limit(asked jsonb, name text) RETURNS numeric
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT (asked -> 'limits' ->> name)::numeric
$$;
