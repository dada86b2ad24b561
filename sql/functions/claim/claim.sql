-- howdah.claim(worker_id, queue, jobs, kinds, fronts, prefixes, except_kinds) -> lease_id, id, kind, payload, attempt, ...
-- Takes up to `jobs` jobs off the front of a queue, in order of priority and then of enqueueing, under one
-- lease. Whoever holds the lease id may settle them, until the worker's heartbeat is overdue. In a queue with ageing
-- (aging_ms) the first of them go by what their priority has risen to.
--   worker_id  from howdah.start_worker
--   queue      its name; a queue that does not exist yet or is paused has no jobs
--   jobs       1 to 500. Fewer come back if some of them have expired, which is then noted.
--   kinds      only these and what begins with one of `prefixes`; both NULL: any
--   fronts     ten ids, one for each priority 0 to 9: where the caller saw the live front of the queue.
--              What was enqueued before it is not looked at, so that dead tickets are not walked over;
--              leave it out now and then to find what was committed late. NULL: from the very front.
--   prefixes, except_kinds  kinds that begin so, and kinds to leave alone whatever else is said; NULL: none
-- Jobs with gates (see gates_of) or of a kind that has a rule are let through one ticket at a time, see claim_gated.
-- Writes: ticket (deletes; splits the last one), lease; for jobs with gates see admit and claim_in_turn. Leaves job
-- untouched. The attempt is counted here.
-- Locks: ticket rows, skipping what others have locked; never waits for another claimer.
-- Errors: HD002 invalid argument, HD004 the worker is not registered (any more), HD012 there are gates to pass and the
-- transaction is not READ COMMITTED.
-- Cost: one index descent for each priority and table, one row lock and one delete for each ticket. Tickets of other kinds
-- that wait in front are read and passed over: kinds that often wait long belong into a queue of their own.
CREATE OR REPLACE FUNCTION howdah.claim(worker_id bigint, queue text DEFAULT 'default', jobs integer DEFAULT 1,
  kinds text[] DEFAULT NULL, fronts bigint[] DEFAULT NULL, prefixes text[] DEFAULT NULL, except_kinds text[] DEFAULT NULL)
RETURNS TABLE (lease_id bigint, id bigint, kind text, payload jsonb, attempt smallint, max_attempts smallint,
               priority smallint, enqueued_at timestamptz, options jsonb)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
-- A plan made while the tables were empty would read them whole for ever after: hold it to the indexes.
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_queue    integer;
  v_aging    bigint;
  v_known    boolean;
  v_ruled    boolean;
  v_shared   boolean;
  v_limited  text[];
  v_want     integer := claim.jobs;
  v_tokens   integer;
  v_left     integer;
  v_gone     integer;
  v_looked   integer := 0;
  v_turn     record;
  v_busy     text[] := '{}';
  v_take     integer;
  v_part     bigint;
  v_rows     bigint;
  v_now      timestamptz := howdah.now();
  v_lease    bigint;
  v_kinds    text[] := CASE WHEN claim.prefixes IS NULL THEN claim.kinds ELSE coalesce(claim.kinds, '{}') END;
  v_fronts   bigint[] := coalesce(claim.fronts, '{0,0,0,0,0,0,0,0,0,0}');
  -- New tickets and those that came back: two scans, merged by priority and id. One row of each is looked
  -- at ahead; the loser of the last comparison stays locked until the commit, and is simply not taken.
  fresh CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM unnest(v_fronts) WITH ORDINALITY f(front, n), LATERAL (
      SELECT ctid, * FROM howdah.ticket
       WHERE slot IN (0, 1) AND queue_id = v_queue AND priority = f.n - 1 AND first_id >= f.front
         AND (v_kinds IS NULL OR kind = ANY (v_kinds) OR kind ^@ ANY (claim.prefixes))
         AND (claim.except_kinds IS NULL OR kind <> ALL (claim.except_kinds))
       ORDER BY first_id FOR UPDATE SKIP LOCKED) t;
  again CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM howdah.ticket t
   WHERE slot IN (2, 3) AND queue_id = v_queue
     AND (v_kinds IS NULL OR kind = ANY (v_kinds) OR kind ^@ ANY (claim.prefixes))
     AND (claim.except_kinds IS NULL OR kind <> ALL (claim.except_kinds))
   ORDER BY queue_id, priority, first_id FOR UPDATE SKIP LOCKED;
  aged CURSOR FOR SELECT t.ctid AS tid, t.slot, t.priority, t.first_id, t.jobs, t.attempt, t.kind, t.gates
    FROM howdah.by_age(v_queue, v_aging, least(v_left, 100), v_fronts, v_kinds, claim.prefixes, claim.except_kinds) o, LATERAL (
      SELECT ctid, * FROM howdah.ticket k
       WHERE k.slot = o.slot AND k.queue_id = v_queue AND k.priority = o.priority AND k.first_id = o.first_id FOR UPDATE SKIP LOCKED) t;
  a          record;
  b          record;
  t          record;
  v_tids0    tid[] := '{}';
  v_tids1    tid[] := '{}';
  v_tids2    tid[] := '{}';
  v_tids3    tid[] := '{}';
  v_firsts   bigint[] := '{}';
  v_counts   smallint[] := '{}';
  v_attempts smallint[] := '{}';
BEGIN
  IF claim.jobs IS NULL OR claim.jobs NOT BETWEEN 1 AND 500 THEN
    RAISE EXCEPTION 'jobs must be 1 to 500, not %', coalesce(claim.jobs::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'jobs';
  END IF;
  IF cardinality(v_fronts) <> 10 THEN
    RAISE EXCEPTION 'fronts must hold ten ids, one for each priority' USING ERRCODE = 'HD002', COLUMN = 'fronts';
  END IF;
  SELECT q.id, q.aging_ms, EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim.worker_id), EXISTS (SELECT FROM howdah.flow_rule),
         EXISTS (SELECT FROM howdah.deferred d WHERE d.gate > 'fair:' || q.id || ':' AND d.gate < 'fair:' || q.id || ';')
    INTO v_queue, v_aging, v_known, v_ruled, v_shared FROM howdah.queue q WHERE q.name = claim.queue AND q.paused_at IS NULL;
  IF v_known IS NOT TRUE THEN
    IF NOT EXISTS (SELECT FROM howdah.worker w WHERE w.id = claim.worker_id) THEN
      PERFORM howdah.unknown_worker(claim.worker_id);
    END IF;
    RETURN;
  END IF;
  IF v_ruled THEN
    SELECT r.room, r.tokens INTO v_want, v_tokens FROM howdah.queue_room(v_queue, v_want) r;
    IF v_want = 0 THEN
      RETURN;
    END IF;
    v_limited := ARRAY(SELECT f.name FROM howdah.flow_rule f WHERE f.scope = 'kind');
  END IF;
  v_left := v_want;
  IF v_shared THEN
    -- Those that have no share get half of each claim, so that neither starves the other.
    v_lease := howdah.next_lease();
    v_turn := howdah.claim_in_turn(v_lease, v_queue, (v_want + (random() < 0.5)::integer) / 2, v_kinds, claim.prefixes, claim.except_kinds, v_limited);
    v_firsts := v_firsts || v_turn.first_ids;
    v_counts := v_counts || v_turn.counts;
    v_attempts := v_attempts || v_turn.attempts;
    v_left := v_left - coalesce((SELECT sum(n) FROM unnest(v_turn.counts) n), 0);
  END IF;
  LOOP
    IF v_aging IS NOT NULL THEN
      OPEN aged;
      FETCH aged INTO a;
      SELECT NULL::tid AS tid, NULL::smallint AS priority, NULL::bigint AS first_id INTO b;
    ELSE
      OPEN fresh;
      OPEN again;
      FETCH fresh INTO a;
      FETCH again INTO b;
    END IF;
    -- What goes aside is not claimed: a claim moves some hundred rows, or some thousand if it finds nothing else.
    WHILE v_left > 0 AND v_looked < CASE WHEN v_firsts = '{}' THEN 3000 ELSE 300 END LOOP
      IF b.tid IS NULL OR (a.tid IS NOT NULL AND (a.priority, a.first_id) < (b.priority, b.first_id)) THEN
        EXIT WHEN a.tid IS NULL;
        t := a;
      ELSE
        t := b;
      END IF;
      v_take := least(t.jobs, v_left);
      v_gone := v_take;
      IF t.gates IS NOT NULL OR t.kind = ANY (v_limited) THEN
        v_lease := coalesce(v_lease, howdah.next_lease());
        v_looked := v_looked + 1;
        v_shared := v_shared OR coalesce(t.gates[1] ^@ 'fair:', false);
        SELECT g.taken, g.gone, g.busy INTO v_take, v_gone, v_busy
          FROM howdah.claim_gated(v_lease, v_queue, t.first_id, t.jobs, t.priority, t.attempt, t.kind, t.gates, coalesce(t.kind = ANY (v_limited), false), v_left, v_busy) g;
      END IF;
      IF v_take > 0 THEN
        v_firsts := v_firsts || t.first_id;
        v_counts := v_counts || v_take::smallint;
        v_attempts := v_attempts || (t.attempt + 1)::smallint;
      END IF;
      IF v_gone = 0 THEN NULL;
      ELSIF v_gone < t.jobs THEN
        UPDATE howdah.ticket SET first_id = first_id + v_gone, jobs = jobs - v_gone WHERE ctid = t.tid AND slot = t.slot;
      ELSIF t.slot = 0 THEN v_tids0 := v_tids0 || t.tid;
      ELSIF t.slot = 1 THEN v_tids1 := v_tids1 || t.tid;
      ELSIF t.slot = 2 THEN v_tids2 := v_tids2 || t.tid;
      ELSE v_tids3 := v_tids3 || t.tid;
      END IF;
      v_left := v_left - v_take;
      EXIT WHEN v_left = 0;
      IF v_aging IS NOT NULL THEN FETCH aged INTO a;
      ELSIF t.slot < 2 THEN FETCH fresh INTO a;
      ELSE FETCH again INTO b;
      END IF;
    END LOOP;
    IF v_tids0 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 0 AND ctid = ANY (v_tids0); END IF;
    IF v_tids1 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 1 AND ctid = ANY (v_tids1); END IF;
    IF v_tids2 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 2 AND ctid = ANY (v_tids2); END IF;
    IF v_tids3 <> '{}' THEN DELETE FROM howdah.ticket WHERE slot = 3 AND ctid = ANY (v_tids3); END IF;
    IF v_aging IS NULL THEN
      CLOSE fresh;
      CLOSE again;
      EXIT;
    END IF;
    CLOSE aged;
    EXIT WHEN v_left = 0;
    -- Those that were seen were few, or others have taken them: the rest in plain order.
    v_aging := NULL;
    v_tids0 := '{}';
    v_tids1 := '{}';
    v_tids2 := '{}';
    v_tids3 := '{}';
  END LOOP;
  IF v_shared AND v_left > 0 THEN
    v_lease := coalesce(v_lease, howdah.next_lease());
    v_turn := howdah.claim_in_turn(v_lease, v_queue, v_left, v_kinds, claim.prefixes, claim.except_kinds, v_limited);
    v_firsts := v_firsts || v_turn.first_ids;
    v_counts := v_counts || v_turn.counts;
    v_attempts := v_attempts || v_turn.attempts;
    v_left := v_left - coalesce((SELECT sum(n) FROM unnest(v_turn.counts) n), 0);
  END IF;
  IF v_left = v_want THEN
    RETURN;
  END IF;
  v_lease := coalesce(v_lease, howdah.next_lease());
  INSERT INTO howdah.lease (id, worker_id, queue_id, claimed_at, first_ids, counts, attempts)
    VALUES (v_lease, claim.worker_id, v_queue, v_now, v_firsts, v_counts, v_attempts);
  -- Usually all of them are in one partition of howdah.job. Named by a variable it is the only one that is opened,
  -- which is half of the cost of a small claim. Else, and if any have outlived their partition: one by one.
  v_part := (v_firsts[1] >> 33) & 7;
  IF NOT EXISTS (SELECT FROM howdah.job_kept) AND NOT EXISTS (SELECT FROM unnest(v_firsts) f WHERE ((f >> 33) & 7) <> v_part) THEN
    RETURN QUERY
      SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options
        FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), LATERAL (
          SELECT * FROM howdah.job
           WHERE ((job.id >> 33) & 7) = v_part AND job.id >= r.first_id AND job.id < r.first_id + r.jobs
           ORDER BY job.id) j
       WHERE j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now;
  ELSE
    RETURN QUERY
      SELECT v_lease, j.id, j.kind, j.payload, r.attempt, j.max_attempts, j.priority, j.enqueued_at, j.options
        FROM unnest(v_firsts, v_counts, v_attempts) r(first_id, jobs, attempt), generate_series(0, r.jobs - 1) g,
             LATERAL howdah.find_job(r.first_id + g) j
       WHERE j.options IS NULL OR NOT j.options ? 'expires_at' OR (j.options ->> 'expires_at')::timestamptz > v_now;
  END IF;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  IF v_tokens IS NOT NULL THEN
    PERFORM howdah.spend_queue(v_queue, v_firsts, v_counts);
  END IF;
  IF v_rows < v_want - v_left THEN
    PERFORM howdah.expire_claimed(v_lease, v_now);
  END IF;
END $$;
