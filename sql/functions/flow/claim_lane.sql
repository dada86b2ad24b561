-- howdah.claim_lane(lease_id, lane, want, kinds, prefixes, except_kinds, limited) -> (first_ids, counts, attempts, taken)
-- Takes up to `want` jobs off the front of one lane, as far as their other gates let them through. Internal to
-- claim_in_turn. Writes: deferred, and see admit. Locks: rows of deferred, skipping what others have locked.
CREATE OR REPLACE FUNCTION howdah.claim_lane(lease_id bigint, lane text, want integer, kinds text[], prefixes text[], except_kinds text[],
  limited text[], OUT first_ids bigint[], OUT counts smallint[], OUT attempts smallint[], OUT taken integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_taken integer;
  v_aside integer;
  v_moved boolean;
  d       record;
BEGIN
  taken := 0;
  -- What goes aside is in the way of what is behind it: some rows of them, until one gets through.
  FOR round IN 1..100 LOOP
    v_moved := false;
    FOR d IN
      SELECT k.ctid AS tid, k.* FROM howdah.deferred k
       WHERE k.gate = claim_lane.lane AND (claim_lane.kinds IS NULL OR k.kind = ANY (claim_lane.kinds) OR k.kind ^@ ANY (claim_lane.prefixes))
         AND (claim_lane.except_kinds IS NULL OR k.kind <> ALL (claim_lane.except_kinds))
       ORDER BY k.gate, k.priority, k.first_id LIMIT claim_lane.want FOR UPDATE SKIP LOCKED
    LOOP
      -- Deleted first: what goes aside is a row of the same table.
      DELETE FROM howdah.deferred k WHERE k.ctid = d.tid;
      IF d.gates <> ARRAY[d.gates[1]] OR d.kind = ANY (claim_lane.limited) THEN
        SELECT p.taken, p.aside INTO v_taken, v_aside
          FROM howdah.admit(claim_lane.lease_id, d.queue_id, d.first_id, d.jobs, d.priority, d.attempt, d.kind, d.gates, claim_lane.want - taken) p;
      ELSE
        v_taken := least(d.jobs, claim_lane.want - taken);
        v_aside := 0;
      END IF;
      IF v_taken + v_aside < d.jobs THEN
        INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
          VALUES (d.due_at, d.first_id + v_taken + v_aside, d.queue_id, d.priority, d.jobs - v_taken - v_aside, d.attempt, d.kind, d.gates, d.gate);
      END IF;
      IF v_taken > 0 THEN
        first_ids := first_ids || d.first_id;
        counts := counts || v_taken::smallint;
        attempts := attempts || (d.attempt + 1)::smallint;
        taken := taken + v_taken;
      END IF;
      v_moved := v_moved OR v_aside > 0;
      EXIT WHEN taken >= claim_lane.want;
    END LOOP;
    EXIT WHEN taken > 0 OR NOT v_moved;
  END LOOP;
END $$;
