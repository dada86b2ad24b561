-- howdah.payload_key(payload) -> text
-- A unique key made of a payload: equal for JSON that is equal, whatever the order of its names, its white space, or how
-- its numbers are written (1, 1.0 and 1.00 are one number). Errors: none.
-- Cost: one SHA-256. A payload with a number that ends in a decimal zero is rewritten first.
CREATE OR REPLACE FUNCTION howdah.payload_key(payload jsonb) RETURNS text
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_text text := payload_key.payload::text;
BEGIN
  -- jsonb has sorted the names and dropped the white space; numbers keep the zeros that they were written with.
  IF v_text ~ '\.[0-9]*0($|[^0-9])' THEN
    v_text := howdah.canonical(payload_key.payload)::text;
  END IF;
  RETURN 'payload:' || encode(sha256(convert_to(v_text, 'UTF8')), 'hex');
END $$;
