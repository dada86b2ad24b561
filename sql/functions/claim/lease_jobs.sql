-- howdah.lease_jobs(worker_id, queue_id, first_ids, counts, ids, limited) -> bigint
-- Takes these jobs out of these tickets of a queue, as far as nobody else has them, and makes a lease of them, with the
-- attempt counted, as far as their gates let them through; limited: kinds that have a rule. What else the tickets hold stays. Returns the lease; NULL: there was nothing to take.
-- Internal to claim_where. Writes: ticket, lease, and see admit. Locks: tickets, skipping what others have locked.
CREATE OR REPLACE FUNCTION howdah.lease_jobs(worker_id bigint, queue_id integer, first_ids bigint[], counts smallint[], ids bigint[],
  limited text[] DEFAULT NULL) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_held     bigint[];
  v_firsts   bigint[];
  v_counts   smallint[];
  v_attempts smallint[];
  v_lease    bigint;
  c          record;
BEGIN
  -- A ticket that has changed since it was seen is left alone.
  SELECT array_agg(t.first_id) INTO v_held
    FROM unnest(lease_jobs.first_ids, lease_jobs.counts) w(first_id, jobs), generate_series(0, 9) p, LATERAL (
      SELECT k.first_id FROM howdah.ticket k
       WHERE k.queue_id = lease_jobs.queue_id AND k.priority = p AND k.first_id = w.first_id AND k.jobs = w.jobs FOR UPDATE SKIP LOCKED) t;
  IF v_held IS NULL THEN
    RETURN NULL;
  END IF;
  v_lease := howdah.next_lease();
  FOR c IN
    WITH gone AS (
      DELETE FROM howdah.ticket k WHERE k.queue_id = lease_jobs.queue_id AND k.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}') AND k.first_id = ANY (v_held)
      RETURNING k.*),
    cut AS MATERIALIZED (
      SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
             LATERAL howdah.pieces(a.firsts, a.counts, lease_jobs.ids) p),
    rest AS (
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT c.first_id, g.queue_id, r.slot, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.ready_at
        FROM cut c JOIN gone g ON g.first_id = c.run, howdah.ring r WHERE NOT c.taken AND r.name = 'returned')
    SELECT c.first_id, c.jobs, g.attempt, g.priority, g.kind, g.gates, g.ready_at, NULL::integer AS taken, NULL::integer AS aside
      FROM cut c JOIN gone g ON g.first_id = c.run WHERE c.taken ORDER BY g.priority, c.first_id
  LOOP
    c.taken := c.jobs;
    IF c.gates IS NOT NULL OR c.kind = ANY (lease_jobs.limited) THEN
      SELECT p.taken, p.aside INTO c.taken, c.aside
        FROM howdah.admit(v_lease, lease_jobs.queue_id, c.first_id, c.jobs, c.priority, c.attempt, c.kind, c.gates, c.jobs) p;
      -- Somebody is at the gate: later.
      INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
      SELECT c.first_id + c.taken, lease_jobs.queue_id, r.slot, c.priority, c.jobs - c.taken, c.attempt, c.kind, c.gates, c.ready_at
        FROM howdah.ring r WHERE r.name = 'returned' AND c.taken + c.aside < c.jobs;
    END IF;
    IF c.taken > 0 THEN
      v_firsts := v_firsts || c.first_id;
      v_counts := v_counts || c.taken::smallint;
      v_attempts := v_attempts || (c.attempt + 1)::smallint;
    END IF;
  END LOOP;
  IF v_firsts IS NULL THEN
    RETURN NULL;
  END IF;
  INSERT INTO howdah.lease (id, worker_id, queue_id, claimed_at, first_ids, counts, attempts)
    VALUES (v_lease, lease_jobs.worker_id, lease_jobs.queue_id, howdah.now(), v_firsts, v_counts, v_attempts);
  RETURN v_lease;
END $$;
