-- howdah.release_order(gate) -> integer
-- Makes the first job of an ordering key ready, if it is blocked by that key. Returns how many, 0 or 1. Internal to
-- release_gate. Writes: deferred, ticket. Locks: its row, unless somebody has locked it.
CREATE OR REPLACE FUNCTION howdah.release_order(gate text) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_head bigint := (SELECT o.job_id FROM howdah.ordered o
                     WHERE o.key = substr(release_order.gate, 7) AND NOT o.passed_by ORDER BY o.key, o.job_id LIMIT 1);
  v_tid  tid;
BEGIN
  SELECT k.ctid INTO v_tid FROM howdah.deferred k WHERE k.first_id = v_head AND k.gate = release_order.gate FOR UPDATE SKIP LOCKED;
  IF NOT FOUND THEN
    RETURN 0;
  END IF;
  PERFORM howdah.let_through(v_tid, 1);
  RETURN 1;
END $$;
