-- howdah.at_text(at) -> text
-- A time as people read it, in UTC: 2026-01-31T08:00:00Z. Internal to why.
CREATE OR REPLACE FUNCTION howdah.at_text(at timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE
RETURN pg_catalog.to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"');
