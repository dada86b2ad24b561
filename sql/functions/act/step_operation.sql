-- howdah.step_operation(id, most) -> operation
-- Goes on with an operation by one step, in the caller's transaction: call it again, each time in a transaction of its own,
-- until the state is not 'running'. Anybody may, at any time: steps of one operation are done one after another, and each
-- begins where the last one that was committed ended. So every job is dealt with once, whoever crashes.
--   most  how many jobs are changed in one step, 1 to 1,000
-- If a step fails (a queue is full, a lock is waited for too long), nothing of it remains, the state is 'stopped' and the error
-- is in the row; the next call tries again from there. One that has ended, or was cancelled, is returned as it is.
-- Returns the operation as it is then; a row of NULLs: there is none.
-- Writes: operation, and see act_on. Locks: the operation's row, and waits for whoever does a step; what act_on locks.
-- Errors: HD002 invalid argument, HD012 the transaction is not READ COMMITTED.
CREATE OR REPLACE FUNCTION howdah.step_operation(id bigint, most integer DEFAULT 200) RETURNS howdah.operation
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  o       howdah.operation;
  s       record;
  v_error text;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_most(step_operation.most, 1000, NULL);
  SELECT * INTO o FROM howdah.operation p WHERE p.id = step_operation.id FOR UPDATE;
  IF NOT FOUND OR o.state IN ('done', 'cancelled') THEN
    RETURN o;
  END IF;
  BEGIN
    SELECT * INTO s FROM howdah.search(o.compiled, o.before, step_operation.most);
    o.changed := o.changed + howdah.act_on(o.action, s.ids, o.settings, ARRAY(SELECT jsonb_array_elements_text(o.compiled -> 'states')));
  EXCEPTION WHEN OTHERS THEN
    v_error := SQLERRM;
  END;
  o.stepped_at := howdah.now();
  o.steps := o.steps + 1;
  o.error := v_error;
  IF v_error IS NOT NULL THEN
    o.state := 'stopped';
  ELSE
    o.state := CASE WHEN s.next IS NULL THEN 'done' ELSE 'running' END;
    o.ended_at := CASE WHEN s.next IS NULL THEN howdah.now() END;
    o.before := coalesce(s.next, 0);
    o.looked := o.looked + s.looked;
    o.matched := o.matched + cardinality(s.ids);
  END IF;
  UPDATE howdah.operation p SET changed = o.changed, stepped_at = o.stepped_at, steps = o.steps, error = o.error, state = o.state, ended_at = o.ended_at,
         before = o.before, looked = o.looked, matched = o.matched WHERE p.id = o.id;
  RETURN o;
END $$;
