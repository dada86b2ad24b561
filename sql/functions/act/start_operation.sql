-- howdah.start_operation(action, search, compiled, settings, made_by, reason) -> bigint
-- Begins something that is to be done to all jobs that a search means; nothing is done to them before
-- howdah.step_operation is called.
--   action    retry, cancel, purge, priority, move, reschedule
--   search    as somebody typed it, for those who read it later
--   compiled  the same as howdah.search takes it
--   settings  of the action: {"priority": 3}, {"queue": "mail"}, {"run_at": "2026-01-31T10:00Z"}, {"delay": "1 hour"}
--   made_by   who; NULL: the setting howdah.made_by of the transaction, else the user of the session
--   reason    why; may be NULL
-- Which jobs: those that fit when their turn comes, in a state that the action is for (see howdah.action_states), and were
-- enqueued before now. "now" and ages in the search are meant from this moment.
-- Returns the operation's id. Writes: operation. Locks: none. Errors: HD001 unknown queue, HD002 invalid argument.
CREATE OR REPLACE FUNCTION howdah.start_operation(action text, search text, compiled jsonb, settings jsonb DEFAULT '{}',
  made_by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_search jsonb;
  v_id     bigint;
BEGIN
  PERFORM howdah.check_action(start_operation.action, start_operation.settings);
  v_search := howdah.operation_search(start_operation.action, start_operation.compiled);
  INSERT INTO howdah.operation (action, settings, search, compiled, made_at, made_by, reason, before, stepped_at)
  VALUES (start_operation.action, start_operation.settings, left(coalesce(start_operation.search, ''), 8192), v_search, howdah.now(),
          howdah.who_acts(start_operation.made_by), left(start_operation.reason, 1024), (v_search ->> 'upto_id')::bigint + 1, howdah.now())
  RETURNING operation.id INTO v_id;
  RETURN v_id;
END $$;
