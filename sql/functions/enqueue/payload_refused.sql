-- howdah.payload_refused(queue, bytes, max_bytes) -> never returns
-- Says that a payload is missing or too large, and what to do about it. Internal.
-- Errors: HD002 (invalid argument) with COLUMN payload.
CREATE OR REPLACE FUNCTION howdah.payload_refused(queue text, bytes integer, max_bytes integer) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF payload_refused.bytes IS NULL THEN
    RAISE EXCEPTION 'payload must be JSON, not NULL'
      USING ERRCODE = 'HD002', COLUMN = 'payload', HINT = 'For a job without arguments, leave payload out or give ''{}''.';
  END IF;
  RAISE EXCEPTION 'payload is % bytes, and queue % takes at most %', payload_refused.bytes, payload_refused.queue, payload_refused.max_bytes
    USING ERRCODE = 'HD002', COLUMN = 'payload',
      HINT = 'Store large data elsewhere and enqueue its key, or raise max_payload_bytes of the queue.';
END $$;
