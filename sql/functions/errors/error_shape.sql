-- howdah.error_shape(message) -> text
-- What errors of the same cause have in common: the first line of a message, 300 characters of it, in which quoted parts are "*" and
-- words with a digit are #: `no user "ann" at 10.0.0.1:5432 (req-7f3a)` is `no user "*" at # (req-#)`.
-- An index is made of it: a release that changes it has to build that index again. Internal to fingerprint and error_groups.
CREATE OR REPLACE FUNCTION howdah.error_shape(message text) RETURNS text
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN regexp_replace(regexp_replace(left(split_part(error_shape.message, E'\n', 1), 300),
    '"[^"]*"|`[^`]*`|(?<![[:alnum:]])''[^'']*''(?![[:alnum:]])', '"*"', 'g'),
    '[[:alnum:]_]*[0-9][[:alnum:]_]*([-.:/][[:alnum:]_]+)*', '#', 'g');
END $$;
