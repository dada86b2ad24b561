-- howdah.queue_room(queue_id, want) -> (room, tokens)
-- How many jobs may be claimed from a queue by its rule, at most `want`, and how many tokens its rate has for them (NULL:
-- it has none). From here on other claims of the queue get none until the transaction ends, if there is a rule: the keeper
-- wakes them soon. Internal to claims. Writes: gate, gate_look. Locks: the queue's gate; waits for a few milliseconds only.
-- Errors: HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.queue_room(queue_id integer, want integer, OUT room integer, OUT tokens integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_gate text := 'queue:' || queue_room.queue_id;
  v_rule howdah.flow_rule := howdah.rule_of(v_gate);
BEGIN
  PERFORM howdah.must_read_committed();
  room := queue_room.want;
  IF v_rule.scope IS NULL THEN
    RETURN;
  END IF;
  IF NOT howdah.lock_gate(v_gate) THEN
    room := 0;
    PERFORM howdah.watch_gate(v_gate, after_ms => 50);
    RETURN;
  END IF;
  IF v_rule.rate IS NOT NULL THEN
    tokens := floor(howdah.tokens(v_gate, v_rule));
    IF tokens < 1 THEN
      PERFORM howdah.watch_gate(v_gate, v_rule);
    END IF;
  END IF;
  room := least(room, howdah.room(v_gate, v_rule));
  IF room > 0 THEN
    PERFORM howdah.commit_durably();
  END IF;
END $$;
