-- howdah.may_act_on(job_id, states) -> boolean
-- Whether a job is in one of these states, and stays there until the caller's transaction ends: if it waits or is dead its row is
-- locked, and what has ended does not come back. Never for one that runs. Internal.
-- Writes and locks: see single_out; dead.
CREATE OR REPLACE FUNCTION howdah.may_act_on(job_id bigint, states text[]) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_state text := (howdah.single_out(may_act_on.job_id)).state;
BEGIN
  IF v_state IS NULL THEN
    PERFORM FROM howdah.dead x WHERE x.job_id = may_act_on.job_id FOR UPDATE;
    v_state := CASE WHEN FOUND THEN 'dead' ELSE howdah.state(may_act_on.job_id) END;
    -- If it is back in a room by now, it moved while we looked.
    IF NOT FOUND AND v_state NOT IN ('completed', 'cancelled', 'expired') THEN
      RETURN false;
    END IF;
  END IF;
  RETURN coalesce(v_state = ANY (may_act_on.states), false);
END $$;
