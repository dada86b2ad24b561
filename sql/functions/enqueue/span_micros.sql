-- howdah.span_micros(micros) -> interval
-- Microseconds as an interval: how clients without a library of dates give one. NULL for NULL.
CREATE OR REPLACE FUNCTION howdah.span_micros(micros bigint) RETURNS interval
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN '1 microsecond'::pg_catalog.interval OPERATOR(pg_catalog.*) micros::pg_catalog.float8;
