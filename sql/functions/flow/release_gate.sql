-- howdah.release_gate(gate, most) -> integer
-- Makes the first `most` jobs that a gate blocks ready, so that a claim tries them again; of an ordering key the first one,
-- if it is its turn. Jobs whose queue is paused or gone become ready with them, and do not count: else they would take the
-- turn of others and not use it. Returns how many. Internal.
-- Writes: deferred, ticket, gate_look. Locks: rows of deferred, passing by what others have locked.
CREATE OR REPLACE FUNCTION howdah.release_gate(gate text, most integer) RETURNS integer
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_moved integer := 0;
  v_left  integer := release_gate.most;
  v_take  integer;
  d       record;
BEGIN
  IF release_gate.gate ^@ 'order:' THEN
    RETURN howdah.release_order(release_gate.gate);
  END IF;
  FOR d IN
    SELECT k.ctid AS tid, k.jobs, EXISTS (SELECT FROM howdah.queue q WHERE q.id = k.queue_id AND q.paused_at IS NULL) AS runs
      FROM howdah.deferred k
     WHERE k.gate = release_gate.gate ORDER BY k.gate, k.priority, k.first_id LIMIT greatest(release_gate.most, 100) FOR UPDATE SKIP LOCKED
  LOOP
    v_take := CASE WHEN d.runs THEN least(d.jobs, v_left) ELSE d.jobs END;
    PERFORM howdah.let_through(d.tid, v_take);
    v_moved := v_moved + 1;
    v_left := v_left - CASE WHEN d.runs THEN v_take ELSE 0 END;
    EXIT WHEN v_left = 0;
  END LOOP;
  IF v_left > 0 AND v_moved >= greatest(release_gate.most, 100) THEN
    PERFORM howdah.watch_gate(release_gate.gate);
  ELSIF v_moved > 0 AND NOT EXISTS (SELECT FROM howdah.gate_look l WHERE l.gate = release_gate.gate AND l.look_at > howdah.now()) THEN
    -- Whoever was let through may be cancelled, or find no worker: then somebody else is to come. One look in five seconds is
    -- enough for all of a gate.
    PERFORM howdah.watch_gate(release_gate.gate, tell => false, after_ms => 5000);
  END IF;
  RETURN release_gate.most - v_left;
END $$;
