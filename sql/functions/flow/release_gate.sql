-- howdah.release_gate(gate, most) -> integer
-- Makes the first `most` jobs that a gate blocks ready, so that a claim tries them again; of an ordering key the first one,
-- if it is its turn. Returns how many. Internal.
-- Writes: deferred, ticket. Locks: rows of deferred, passing by what others have locked.
CREATE OR REPLACE FUNCTION howdah.release_gate(gate text, most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_order boolean := release_gate.gate ^@ 'order:';
  v_head  bigint;
  v_left  integer := CASE WHEN v_order THEN 1 ELSE release_gate.most END;
  v_take  integer;
  d       record;
BEGIN
  IF v_order THEN
    SELECT o.job_id INTO v_head FROM howdah.ordered o WHERE o.key = substr(release_gate.gate, 7) AND NOT o.passed_by ORDER BY o.key, o.job_id LIMIT 1;
    -- None counts: those that wait here came to their gate, and do.
    v_head := coalesce(v_head, (SELECT min(k.first_id) FROM howdah.deferred k WHERE k.gate = release_gate.gate));
  END IF;
  FOR d IN
    SELECT k.ctid AS tid, k.* FROM howdah.deferred k
     WHERE k.gate = release_gate.gate AND NOT v_order ORDER BY k.gate, k.priority, k.first_id LIMIT release_gate.most FOR UPDATE SKIP LOCKED
  LOOP
    v_take := least(d.jobs, v_left);
    PERFORM howdah.let_through(d.tid, v_take);
    v_left := v_left - v_take;
    EXIT WHEN v_left = 0;
  END LOOP;
  FOR d IN
    SELECT k.ctid AS tid FROM howdah.deferred k
     WHERE v_order AND k.first_id = v_head AND k.gate = release_gate.gate FOR UPDATE SKIP LOCKED
  LOOP
    PERFORM howdah.let_through(d.tid, 1);
    v_left := 0;
  END LOOP;
  RETURN CASE WHEN v_order THEN 1 ELSE release_gate.most END - v_left;
END $$;
