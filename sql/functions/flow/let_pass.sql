-- howdah.let_pass(job_id) -> void
-- A job of an order has failed, or waits for other jobs now, and lets the others of its order go first until it is due. Internal to
-- add_dependency, and to howdah.fail, which also gives its slot back: that sees to whoever is at the gate at this moment (free_slots). Writes: ordered, and see release_gate.
CREATE OR REPLACE FUNCTION howdah.let_pass(job_id bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_key text;
BEGIN
  UPDATE howdah.ordered o SET passed_by = true WHERE o.job_id = let_pass.job_id RETURNING o.key INTO v_key;
  IF FOUND THEN
    PERFORM howdah.release_gate('order:' || v_key, 1);
  END IF;
END $$;
