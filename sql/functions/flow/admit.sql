-- howdah.admit(lease_id, queue_id, first_id, jobs, priority, attempt, kind, gates, want) -> (taken, aside)
-- Lets the first jobs of a run through their gates, at most `want` of them, into a lease that is being made. When a gate
-- lets no more through, the rest of the run goes aside: it is blocked by that gate. The caller has locked the run's row,
-- and takes as many jobs out of it as passed and went aside.
--   taken, aside  how many passed, and how many are blocked now. Both 0: somebody else is at one of the gates; later.
-- Internal to claims. What passes does so durably, see commit_durably. Writes: slot, gate, gate_look, ordered, deferred. Locks: the gates, until the transaction ends.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.admit(lease_id bigint, queue_id integer, first_id bigint, jobs integer, priority integer, attempt integer,
  kind text, gates text[], want integer, OUT taken integer, OUT aside integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_gates  text[];
  v_counts text[] := '{}';
  v_rates  text[] := '{}';
  v_weight integer := howdah.weight_in(admit.gates);
  v_stop   text;
  v_free   integer;
  v_rule   howdah.flow_rule;
  v_gate   text;
BEGIN
  PERFORM howdah.must_read_committed();
  taken := least(admit.jobs, admit.want);
  aside := 0;
  SELECT array_agg(g ORDER BY g) INTO v_gates
    FROM unnest(admit.gates || ARRAY['kind:' || admit.kind]) g WHERE NOT g ^@ 'weight:' AND NOT g ^@ 'fair:';
  FOREACH v_gate IN ARRAY v_gates LOOP
    v_rule := howdah.rule_of(v_gate);
    CONTINUE WHEN v_rule.scope IS NULL AND NOT v_gate ^@ 'order:';
    IF NOT howdah.lock_gate(v_gate) THEN
      taken := 0;
      RETURN;
    END IF;
    IF v_gate ^@ 'order:' THEN
      -- One that let others pass is due again, and in its place.
      UPDATE howdah.ordered o SET passed_by = false WHERE o.job_id >= admit.first_id AND o.job_id < admit.first_id + admit.jobs AND o.passed_by;
    END IF;
    v_free := CASE WHEN v_gate ^@ 'order:' AND NOT howdah.is_first(substr(v_gate, 7), admit.first_id) THEN 0
                   ELSE howdah.room(v_gate, v_rule, v_weight, admit.lease_id) END;
    IF v_free < taken THEN
      taken := v_free;
      v_stop := v_gate;
      EXIT WHEN taken = 0;
    END IF;
    IF v_rule.max_running IS NOT NULL OR v_gate ^@ 'order:' THEN
      v_counts := v_counts || v_gate;
    END IF;
    IF v_rule.rate IS NOT NULL THEN
      v_rates := v_rates || v_gate;
    END IF;
  END LOOP;
  IF taken > 0 AND cardinality(v_counts || v_rates) > 0 THEN
    PERFORM howdah.commit_durably();
    INSERT INTO howdah.slot (lease_id, job_id, gate)
    SELECT admit.lease_id, admit.first_id + i, g FROM generate_series(0, taken - 1) i, unnest(v_counts) g;
    FOREACH v_gate IN ARRAY v_rates LOOP
      v_rule := howdah.rule_of(v_gate);
      PERFORM howdah.spend(v_gate, v_rule, taken::bigint * v_weight);
      IF EXISTS (SELECT FROM howdah.deferred d WHERE d.gate = v_gate) THEN
        PERFORM howdah.watch_gate(v_gate, v_rule, v_weight);
      END IF;
    END LOOP;
  END IF;
  IF v_stop IS NOT NULL THEN
    aside := admit.jobs - taken;
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
      VALUES ('infinity', admit.first_id + taken, admit.queue_id, admit.priority, aside, admit.attempt, admit.kind, admit.gates, v_stop);
    -- At the others it was let through in the place of somebody: the next may come.
    PERFORM howdah.watch_gate(g) FROM unnest(v_counts) g WHERE g <> v_stop AND NOT g ^@ 'order:';
    v_rule := howdah.rule_of(v_stop);
    IF v_rule.rate IS NOT NULL AND howdah.tokens(v_stop, v_rule) < least(v_weight, v_rule.rate_burst) THEN
      PERFORM howdah.watch_gate(v_stop, v_rule, v_weight);
    END IF;
  END IF;
END $$;
