-- howdah.act(action, job_ids, settings, made_by, reason) -> bigint
-- Does something to these jobs and notes who did it, in one transaction; see howdah.start_operation for the arguments.
--   job_ids  at most 1,000
-- Returns how many were changed; the others are in a state that the action is not for, or do not exist. One job is
-- changed once, however often it is given.
-- Writes: command, and see act_on. Locks: what act_on locks. Errors: HD001 unknown queue, HD002 invalid argument, HD005 the queue
-- is full, HD012 the transaction is not READ COMMITTED: then nothing was changed or noted.
CREATE OR REPLACE FUNCTION howdah.act(action text, job_ids bigint[], settings jsonb DEFAULT '{}', made_by text DEFAULT NULL, reason text DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_ids     bigint[] := ARRAY(SELECT DISTINCT i FROM unnest(act.job_ids) i WHERE i IS NOT NULL ORDER BY 1);
  v_changed bigint;
BEGIN
  PERFORM howdah.must_read_committed(), howdah.check_action(act.action, act.settings);
  IF cardinality(v_ids) > 1000 THEN
    RAISE EXCEPTION 'job_ids must be at most 1000, not %', cardinality(v_ids) USING ERRCODE = 'HD002', COLUMN = 'job_ids', HINT = 'Call it several times.';
  END IF;
  v_changed := howdah.act_on(act.action, v_ids, act.settings,
    howdah.action_states(act.action, '{scheduled,blocked,ready,running,completed,cancelled,expired,dead}'));
  INSERT INTO howdah.command (action, settings, job_ids, changed, made_at, made_by, reason)
  VALUES (act.action, act.settings, v_ids, v_changed, howdah.now(), howdah.who_acts(act.made_by), left(act.reason, 1024));
  RETURN v_changed;
END $$;
