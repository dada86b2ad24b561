-- howdah.check_traceparent(traceparent) -> void
-- Refuses what is not the header traceparent of W3C Trace Context, such as
-- 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01: version, trace, span, flags, in lower-case hexadecimal.
-- A version that is not known yet may have more behind a dash, up to 128 bytes in all. NULL is none.
-- Errors: HD002 (invalid argument) with COLUMN traceparent. Internal to check_options.
CREATE OR REPLACE FUNCTION howdah.check_traceparent(traceparent text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_traceparent.traceparent IS NULL THEN
    RETURN;
  END IF;
  IF check_traceparent.traceparent !~ '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[ -~]*)?$'
     OR check_traceparent.traceparent ~ '^(ff|..-0{32}|.{35}-0{16}|00-.{53})' OR octet_length(check_traceparent.traceparent) > 128 THEN
    RAISE EXCEPTION 'traceparent must be that of W3C Trace Context, not %', quote_literal(left(check_traceparent.traceparent, 60))
      USING ERRCODE = 'HD002', COLUMN = 'traceparent',
        HINT = 'Such as 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01; leave it out for a job that belongs to no trace.';
  END IF;
END $$;
