-- howdah.doctor_span(since) -> text
-- How long ago a time is, as people say it: 90 s, 12 min, 5 h, 3 d; of NULL NULL. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_span(since timestamptz) RETURNS text
LANGUAGE sql STRICT SET search_path = pg_catalog, pg_temp AS $$
  SELECT CASE WHEN s < 120 THEN round(s, 1 - (s >= 10)::integer) || ' s' WHEN s < 7200 THEN floor(s / 60) || ' min'
              WHEN s < 172800 THEN floor(s / 3600) || ' h' ELSE floor(s / 86400) || ' d' END
    FROM greatest(0, extract(epoch FROM howdah.now() - since)::numeric) s
$$;
