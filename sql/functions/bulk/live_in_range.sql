-- howdah.live_in_range(queues, states, after, upto) -> (first_id, jobs, lease_id)
-- The jobs with ids from after + 1 to upto that wait, or that run and have not been asked to end, of one moment: a job
-- on its way from one room to another is seen in one of them. lease_id is NULL for those that wait. Internal.
CREATE OR REPLACE FUNCTION howdah.live_in_range(queues integer[], states text[], after bigint, upto bigint)
RETURNS TABLE (first_id bigint, jobs integer, lease_id bigint) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
BEGIN
  RETURN QUERY
    SELECT t.first_id, t.jobs::integer, NULL::bigint FROM howdah.ticket t
     WHERE 'ready' = ANY (live_in_range.states) AND t.queue_id = ANY (live_in_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
       AND t.first_id > live_in_range.after AND t.first_id <= live_in_range.upto
    UNION ALL
    SELECT d.first_id, d.jobs, NULL FROM howdah.deferred d
     WHERE howdah.waits_as(d.gate) = ANY (live_in_range.states) AND d.queue_id = ANY (live_in_range.queues)
       AND d.first_id > live_in_range.after AND d.first_id <= live_in_range.upto
    UNION ALL
    SELECT r.first_id + g, 1, l.id
      FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) g
     WHERE 'running' = ANY (live_in_range.states) AND l.queue_id = ANY (live_in_range.queues)
       AND r.first_id > live_in_range.after AND r.first_id <= live_in_range.upto
       AND NOT EXISTS (SELECT FROM howdah.settled s WHERE s.lease_id = l.id AND s.job_id = r.first_id + g)
       AND NOT EXISTS (SELECT FROM howdah.cancel_request c WHERE c.job_id = r.first_id + g AND c.lease_id = l.id);
END $$;
