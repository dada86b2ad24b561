-- howdah.fingerprint(error_kind, message) -> bigint
-- The number of the group that an error is in: errors of the same kind whose messages have the same shape (see
-- howdah.error_shape). An index is made of it: a release that changes it has to build that index again.
-- Reads nothing. Errors: none. Cost: some 20 microseconds.
CREATE OR REPLACE FUNCTION howdah.fingerprint(error_kind text, message text) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN ('x' || substr(md5(fingerprint.error_kind || E'\n' || howdah.error_shape(fingerprint.message)), 1, 16))::bit(64)::bigint;
END $$;
