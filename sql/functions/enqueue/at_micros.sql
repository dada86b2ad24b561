-- howdah.at_micros(micros) -> timestamptz
-- Microseconds since 1970 as a point in time: how clients without a library of dates give one. NULL for NULL; the
-- largest bigint is infinity.
CREATE OR REPLACE FUNCTION howdah.at_micros(micros bigint) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN micros OPERATOR(pg_catalog.=) 9223372036854775807 THEN 'infinity'::pg_catalog.timestamptz
       ELSE '1970-01-01 00:00:00+00'::pg_catalog.timestamptz
            OPERATOR(pg_catalog.+) ('1 microsecond'::pg_catalog.interval OPERATOR(pg_catalog.*) micros::pg_catalog.float8) END;
