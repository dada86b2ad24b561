-- howdah.add_step(job_id, attempt, name, kind, state, wakes_at, result) -> void
-- Writes a step of a job that the caller has found to be held. Internal. Writes: step.
-- Locks: waits for a transaction that is writing a step of this name for this job.
-- Errors: HD002 with COLUMN name: the job has a step of this name, or too many, or too large ones.
-- Cost: one probe for the last step, however many there are.
CREATE OR REPLACE FUNCTION howdah.add_step(job_id bigint, attempt smallint, name text, kind text, state text, wakes_at timestamptz, result jsonb)
RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_n     integer;
  v_bytes bigint;
  v_new   bigint := coalesce(octet_length(add_step.result::text), 0);
BEGIN
  SELECT s.n, s.bytes INTO v_n, v_bytes FROM howdah.step s WHERE s.job_id = add_step.job_id ORDER BY s.job_id DESC, s.n DESC LIMIT 1;
  IF v_n >= 10000 THEN
    RAISE EXCEPTION 'job % has % steps, and may have at most 10000', add_step.job_id, v_n
      USING ERRCODE = 'HD002', COLUMN = 'name', HINT = 'Do more in a step, or give the rest to another job.';
  END IF;
  IF v_bytes + v_new > 67108864 THEN
    RAISE EXCEPTION 'the steps of job % are % bytes with this one, and may be at most 67108864', add_step.job_id, v_bytes + v_new
      USING ERRCODE = 'HD002', COLUMN = 'result', HINT = 'Store large data elsewhere and keep its key.';
  END IF;
  INSERT INTO howdah.step (job_id, n, attempt, kind, state, at, wakes_at, bytes, name, result)
    VALUES (add_step.job_id, coalesce(v_n, 0) + 1, add_step.attempt, add_step.kind, add_step.state, howdah.now(), add_step.wakes_at,
            coalesce(v_bytes, 0) + v_new, add_step.name, add_step.result)
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'job % has a step % already', add_step.job_id, quote_literal(add_step.name)
      USING ERRCODE = 'HD002', COLUMN = 'name', HINT = 'Read the steps that are kept (howdah.get_steps) before one is done, and give each a name of its own.';
  END IF;
END $$;
