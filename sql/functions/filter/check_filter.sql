-- howdah.check_filter(filter) -> jsonpath
-- Takes a filter on the attributes of jobs: a jsonpath predicate over the object in options -> 'attributes', such as
--   $.tenant == 42 && ($.plan == "pro" || !exists($.trial))
-- and refuses what is none. A job without attributes has the empty object. What a filter promises:
--   ==  !=  <  <=  >  >=    compare numbers with numbers and strings with strings. A job whose attribute is missing,
--                           or of another type, does not match; nothing is converted, and nothing fails. (!= null
--                           means: is there, and is not null.)
--   like_regex, starts with match strings
--   exists($.a), !exists($.a), $.a == null, &&, ||, !(...)
--   An attribute that is an array matches if one of its elements does.
-- Methods that read times (datetime() and the like) are refused: what a job holds could make them fail, and with them each claim.
-- Times in UTC, written as RFC 3339 says, compare as strings.
-- A filter is a value: it is never made part of a statement. At most 8192 bytes. NULL for NULL.
-- Reads nothing. Errors: HD002 with COLUMN filter, and the server's reason.
CREATE OR REPLACE FUNCTION howdah.check_filter(filter text) RETURNS jsonpath
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_path jsonpath;
BEGIN
  IF octet_length(check_filter.filter) > 8192 THEN
    RAISE EXCEPTION 'filter is % bytes, and at most 8192 are allowed', octet_length(check_filter.filter)
      USING ERRCODE = 'HD002', COLUMN = 'filter';
  END IF;
  BEGIN
    v_path := check_filter.filter::jsonpath;
    -- A path that is no predicate, such as $.tenant, gives no single boolean here.
    PERFORM jsonb_path_match('{}', v_path);
  EXCEPTION WHEN OTHERS THEN
    RAISE EXCEPTION 'filter is no predicate: %', SQLERRM
      USING ERRCODE = 'HD002', COLUMN = 'filter', HINT = 'A filter compares attributes, as in $.tenant == 42 && $.plan == "pro".';
  END;
  -- As the server prints it, with nothing left in the quotes.
  IF regexp_replace(v_path::text, '"([^"\\]|\\.)*"', '""', 'g') ~ '\.(datetime|date|time|time_tz|timestamp|timestamp_tz)\(' THEN
    RAISE EXCEPTION 'filter reads times, which fails where an attribute holds something else'
      USING ERRCODE = 'HD002', COLUMN = 'filter', HINT = 'Compare strings: times in UTC such as "2030-01-31T12:00:00Z" come in their order.';
  END IF;
  RETURN v_path;
END $$;
