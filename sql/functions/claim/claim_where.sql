-- howdah.claim_where(worker_id, queue, jobs, filter, kinds, after, since, before, most, prefixes, except_kinds)
--   -> lease_id, id, kind, payload, attempt, ..., next, newest
-- As howdah.claim, of the jobs whose attributes match a filter (see howdah.check_filter) only. Takes them out of their
-- tickets; the rest stays for others, in its order. One call looks at a bounded number of jobs, and so may find none
-- although there are some: call it again from where it stopped, at once.
--   jobs    1 to 500
--   after   where to go on: what `next` was; NULL: from the front
--   since   what was enqueued with ids up to this is not looked at: seen in an earlier walk, and attributes never change.
--           Leave it out now and then to find what was committed late. What came back is always looked at.
--   before  only what is ahead of this place is looked at: how a long walk hears of jobs that have come in front of it
--   most    how many jobs to look at, 1 to 10,000
--   prefixes, except_kinds  as for howdah.claim
-- The rows are those of howdah.claim and, in each of them:
--   next    NULL: everything was looked at
--   newest  no job that is enqueued after this call has an id up to this one
-- When nothing was found there is one row, whose id is NULL, with these two.
-- Order: as claim, of what lies behind `after`. Jobs with a fair_key that wait for their turn are not looked at.
-- Writes: ticket, lease. Locks: the tickets of jobs that match, skipping what others have locked; never waits, unless the queue
-- has a rule of its own, see queue_room. Jobs with gates: see admit.
-- Errors: HD002 invalid argument, HD004 the worker is not registered (any more), HD012 as howdah.claim.
-- Cost: 3 us for each job that is looked at. No other claim pays for this.
CREATE OR REPLACE FUNCTION howdah.claim_where(worker_id bigint, queue text, jobs integer, filter text, kinds text[] DEFAULT NULL,
  after bigint DEFAULT NULL, since bigint DEFAULT 0, before bigint DEFAULT NULL, most integer DEFAULT 2000,
  prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb, next bigint, newest bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_filter jsonpath := howdah.check_filter(claim_where.filter);
  v_queue  integer;
  v_room   integer := claim_where.jobs;
  v_tokens integer;
  v_limited text[];
  v_look   record;
  v_step   integer := least(greatest(128, 2 * claim_where.jobs), claim_where.most);
  v_left   integer := claim_where.most;
  v_lease  bigint;
  v_rows   bigint;
  v_now    timestamptz := howdah.now();
BEGIN
  IF claim_where.jobs IS NULL OR claim_where.jobs NOT BETWEEN 1 AND 500 THEN
    RAISE EXCEPTION 'jobs must be 1 to 500, not %', coalesce(claim_where.jobs::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  PERFORM howdah.check_most(claim_where.most, 10000, NULL);
  IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim_where.worker_id) THEN
    PERFORM howdah.unknown_worker(claim_where.worker_id);
  END IF;
  newest := howdah.last_id();
  SELECT q.id INTO v_queue FROM howdah.queue q WHERE q.name = claim_where.queue AND q.paused_at IS NULL;
  IF FOUND THEN
    IF EXISTS (SELECT FROM howdah.flow_rule) THEN
      SELECT r.room, r.tokens INTO v_room, v_tokens FROM howdah.queue_room(v_queue, v_room) r;
      IF v_room = 0 THEN
        RETURN NEXT;
        RETURN;
      END IF;
      v_limited := ARRAY(SELECT f.name FROM howdah.flow_rule f WHERE f.scope = 'kind');
    END IF;
    next := claim_where.after;
    -- Not more than is likely to be needed at first: where most jobs match, the rest would be looked at for nothing.
    LOOP
      v_look := howdah.look_for(v_queue, v_room, v_filter, claim_where.kinds, next, claim_where.since, claim_where.before, v_step,
        claim_where.prefixes, claim_where.except_kinds);
      next := v_look.next;
      v_left := v_left - v_step;
      EXIT WHEN v_look.ids IS NOT NULL OR next IS NULL OR v_left <= 0;
      v_step := v_left;
    END LOOP;
    v_lease := howdah.lease_jobs(claim_where.worker_id, v_queue, v_look.first_ids, v_look.counts, v_look.ids, v_limited);
  END IF;
  IF v_lease IS NULL THEN
    RETURN NEXT;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options, next, newest
      FROM howdah.lease l, unnest(l.first_ids, l.counts, l.attempts) WITH ORDINALITY r(first_id, jobs, attempt, n),
           generate_series(0, r.jobs - 1) g, LATERAL howdah.find_job(r.first_id + g) j
     WHERE (l.id & 3) = (v_lease & 3) AND l.id = v_lease
       AND (j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now)
     ORDER BY r.n, j.id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_tokens IS NOT NULL THEN
    PERFORM howdah.spend_queue(v_queue, l.first_ids, l.counts) FROM howdah.lease l WHERE (l.id & 3) = (v_lease & 3) AND l.id = v_lease;
  END IF;
  IF v_rows < cardinality(v_look.ids) THEN
    PERFORM howdah.expire_claimed(v_lease, v_now);
    IF v_rows = 0 THEN
      lease_id := NULL;
      RETURN NEXT;
    END IF;
  END IF;
END $$;
