-- howdah.prune_audit(most) -> text
-- Removes operations that have ended and commands that were given longer ago than audit_retention, at most `most` of each.
-- Returns what it did; NULL: nothing. Internal to prune. Writes: operation, command. Locks: those rows.
CREATE OR REPLACE FUNCTION howdah.prune_audit(most integer) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
DECLARE
  v_before   timestamptz := (SELECT howdah.now() - c.audit_retention FROM howdah.config c);
  v_ended    bigint;
  v_commands bigint;
BEGIN
  DELETE FROM howdah.operation o WHERE o.id = ANY (ARRAY(
    SELECT p.id FROM howdah.operation p WHERE p.ended_at < v_before ORDER BY p.ended_at LIMIT prune_audit.most));
  GET DIAGNOSTICS v_ended = ROW_COUNT;
  DELETE FROM howdah.command o WHERE o.id = ANY (ARRAY(
    SELECT c.id FROM howdah.command c WHERE c.made_at < v_before ORDER BY c.made_at LIMIT prune_audit.most));
  GET DIAGNOSTICS v_commands = ROW_COUNT;
  RETURN CASE WHEN v_ended + v_commands > 0 THEN format('pruned %s operations and %s commands', v_ended, v_commands) END;
END $$;
