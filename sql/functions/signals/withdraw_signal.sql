-- howdah.withdraw_signal(name, job_id) -> boolean
-- Takes a signal back, so that nobody finds it any more and another one of the name can be sent. Jobs that have it keep it.
--   job_id  as it was sent to; NULL: to everybody
-- Returns whether there was one. Writes: signal. Locks: its row. Errors: none.
CREATE OR REPLACE FUNCTION howdah.withdraw_signal(name text, job_id bigint DEFAULT NULL) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_expires timestamptz;
BEGIN
  DELETE FROM howdah.signal g WHERE g.name = withdraw_signal.name AND g.job_id = coalesce(withdraw_signal.job_id, 0)
    RETURNING g.expires_at INTO v_expires;
  RETURN coalesce(v_expires > howdah.now(), false);
END $$;
