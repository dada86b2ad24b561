-- howdah.let_pass(job_id) -> void
-- A job of an order has failed and lets the others go first until it is due again. Internal to howdah.fail.
-- Writes: ordered, gate_look, and see release_gate.
CREATE OR REPLACE FUNCTION howdah.let_pass(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_key text;
BEGIN
  UPDATE howdah.ordered o SET passed_by = true WHERE o.job_id = let_pass.job_id RETURNING o.key INTO v_key;
  IF FOUND THEN
    IF howdah.release_gate('order:' || v_key, 1) = 0 THEN
      -- Somebody who is at the gate may not have seen this.
      PERFORM howdah.watch_gate('order:' || v_key, tell => false);
    END IF;
  END IF;
END $$;
