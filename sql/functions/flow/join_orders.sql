-- howdah.join_orders(job_ids) -> void
-- Puts those of these jobs that have an ordering key into their order (again). Internal to enqueueing, and to what makes
-- an ended job run again. One that waits for others holds up nobody until it comes to its gate: those might wait for it.
-- Writes: ordered.
CREATE OR REPLACE FUNCTION howdah.join_orders(job_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
  INSERT INTO howdah.ordered (key, job_id, passed_by)
  SELECT j.options ->> 'order_key', j.id, j.options ? 'depends_on' FROM howdah.find_jobs(join_orders.job_ids) j WHERE j.options ? 'order_key'
  ON CONFLICT DO NOTHING;
END $$;
