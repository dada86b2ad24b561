-- howdah.spend_queue(queue_id, first_ids, counts) -> void
-- Takes what the jobs of a claim weigh from the rate of their queue. Internal to claims, which have locked the queue's gate.
-- Jobs that weigh more than there was leave a debt. Writes: gate.
CREATE OR REPLACE FUNCTION howdah.spend_queue(queue_id integer, first_ids bigint[], counts smallint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_gate text := 'queue:' || spend_queue.queue_id;
BEGIN
  PERFORM howdah.spend(v_gate, howdah.rule_of(v_gate), (
    SELECT sum(coalesce((j.options ->> 'weight')::bigint, 1))::bigint
      FROM unnest(spend_queue.first_ids, spend_queue.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g,
           LATERAL howdah.find_job(r.first_id + g) j));
END $$;
