-- howdah.cancel_operation(id, made_by) -> boolean
-- Ends an operation; what it has done is done. Returns whether it was under way; NULL: there is none.
-- Writes: operation. Locks: its row, and waits for a step that is being done. Errors: none.
CREATE OR REPLACE FUNCTION howdah.cancel_operation(id bigint, made_by text DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  UPDATE howdah.operation p SET state = 'cancelled', ended_at = howdah.now(), ended_by = left(coalesce(cancel_operation.made_by, session_user::text), 256)
   WHERE p.id = cancel_operation.id AND p.state IN ('running', 'stopped');
  RETURN CASE WHEN FOUND THEN true WHEN EXISTS (SELECT FROM howdah.operation p WHERE p.id = cancel_operation.id) THEN false END;
END $$;
