-- howdah.lock_gate(gate) -> boolean
-- Makes whoever passes a gate or frees it do so one after another, until the transaction ends. Returns false if somebody
-- else has it for longer than a few milliseconds: nobody waits here for long, so nobody waits for each other in a circle.
-- Internal. Locks: an advisory lock that the gate shares with a few others. There are 4096 of them, so that claims with
-- thousands of keys do not use up the lock table of the server.
CREATE OR REPLACE FUNCTION howdah.lock_gate(gate text) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_lock bigint := 'howdah.gate'::regclass::oid::bigint << 12 | (hashtext(lock_gate.gate) & 4095);
BEGIN
  FOR i IN 1..5 LOOP
    IF pg_try_advisory_xact_lock(v_lock) THEN
      RETURN true;
    END IF;
    PERFORM pg_sleep(0.001);
  END LOOP;
  RETURN false;
END $$;
