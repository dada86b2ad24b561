-- howdah.action_states(action, states) -> text[]
-- In which states jobs are that an action is for; of `states`, if they are given. Where it would be a surprise, a state
-- has to be named: retry is for dead jobs, and for scheduled ones (at once, then) if that is said; purge for dead ones, and
-- for any but running ones if that is said; priority and move for those that wait, and for dead ones if that is said.
-- Internal. Errors: HD002 if it is for none of them.
CREATE OR REPLACE FUNCTION howdah.action_states(action text, states text[]) RETURNS text[]
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_usual text[];
  v_more  text[] := '{}';
  v_kept  text[];
BEGIN
  CASE action_states.action
    WHEN 'retry' THEN v_usual := '{dead}'; v_more := '{scheduled}';
    WHEN 'cancel' THEN v_usual := '{scheduled,blocked,ready,running}';
    WHEN 'purge' THEN v_usual := '{dead}'; v_more := '{scheduled,blocked,ready,completed,cancelled,expired}';
    WHEN 'reschedule' THEN v_usual := '{scheduled,blocked,ready}';
    ELSE v_usual := '{scheduled,blocked,ready}'; v_more := '{dead}';
  END CASE;
  IF action_states.states IS NULL THEN
    RETURN v_usual;
  END IF;
  v_kept := ARRAY(SELECT s FROM unnest(v_usual || v_more) s WHERE s = ANY (action_states.states));
  IF v_kept = '{}' THEN
    RAISE EXCEPTION '% is not for jobs that are %', action_states.action, coalesce(nullif(array_to_string(action_states.states, ' or '), ''), 'in no state')
      USING ERRCODE = 'HD002', COLUMN = 'search', HINT = format('It is for jobs that are %s.', array_to_string(v_usual || v_more, ', '));
  END IF;
  RETURN v_kept;
END $$;
