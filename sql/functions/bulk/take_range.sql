-- howdah.take_range(queues, kind, states, filter, ids, after, upto)
--   -> (queue_id, priority, job_kind, attempt, first_id, jobs, gates)
-- Takes the jobs that wait (states ready, scheduled, blocked) with ids from after + 1 to upto out of their tickets and deferred
-- rows, as runs. Both bounds are ends of blocks. Without kind, filter and ids a run is taken without a look at its jobs.
-- Internal. Writes: ticket, deferred. Locks: those rows, and waits for whoever has them.
CREATE OR REPLACE FUNCTION howdah.take_range(queues integer[], kind text, states text[], filter jsonpath, ids bigint[], after bigint, upto bigint)
RETURNS TABLE (queue_id integer, priority smallint, job_kind text, attempt smallint, first_id bigint, jobs smallint, gates text[]) LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_all    boolean := take_range.filter IS NULL AND take_range.ids IS NULL;
  v_ids    bigint[];
  v_blocks bigint[];
  r        record;
BEGIN
  IF NOT v_all THEN
    SELECT array_agg(m.id), array_agg(DISTINCT m.id >> 7) INTO v_ids, v_blocks
      FROM (SELECT array_agg(r.first_id) AS firsts, array_agg(r.jobs::integer) AS counts FROM (
              SELECT t.first_id, t.jobs FROM howdah.ticket t
               WHERE 'ready' = ANY (take_range.states) AND t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
                 AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
              UNION ALL
              SELECT d.first_id, d.jobs FROM howdah.deferred d
               WHERE howdah.waits_as(d.gate) = ANY (take_range.states) AND d.first_id > take_range.after AND d.first_id <= take_range.upto
                 AND d.queue_id = ANY (take_range.queues) AND (take_range.kind IS NULL OR d.kind = take_range.kind)) r) a,
           LATERAL howdah.matching(a.firsts, a.counts, take_range.filter) m(id)
     WHERE take_range.ids IS NULL OR m.id = ANY (take_range.ids);
    IF v_ids IS NULL THEN
      RETURN;
    END IF;
  END IF;
  -- In the order of their ids, as whoever deals with one after the other: else each of two might wait for the other.
  FOR r IN
    SELECT t.first_id, t.queue_id, t.priority, true AS ready FROM howdah.ticket t
     WHERE 'ready' = ANY (take_range.states) AND t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
       AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
       AND (v_all OR t.first_id >> 7 = ANY (v_blocks))
    UNION ALL
    SELECT d.first_id, d.queue_id, d.priority, false FROM howdah.deferred d
     WHERE d.first_id > take_range.after AND d.first_id <= take_range.upto AND d.queue_id = ANY (take_range.queues)
       AND howdah.waits_as(d.gate) = ANY (take_range.states)
       AND (take_range.kind IS NULL OR d.kind = take_range.kind) AND (v_all OR d.first_id >> 7 = ANY (v_blocks))
     ORDER BY first_id
  LOOP
    IF r.ready THEN
      PERFORM FROM howdah.ticket t WHERE t.queue_id = r.queue_id AND t.priority = r.priority AND t.first_id = r.first_id FOR UPDATE;
    ELSE
      PERFORM FROM howdah.deferred d WHERE d.first_id = r.first_id FOR UPDATE;
    END IF;
  END LOOP;
  IF 'ready' = ANY (take_range.states) THEN
    RETURN QUERY
      WITH gone AS (
        DELETE FROM howdah.ticket t
         WHERE t.queue_id = ANY (take_range.queues) AND t.priority = ANY ('{0,1,2,3,4,5,6,7,8,9}')
           AND t.first_id > take_range.after AND t.first_id <= take_range.upto AND (take_range.kind IS NULL OR t.kind = take_range.kind)
           AND (v_all OR t.first_id >> 7 = ANY (v_blocks)) RETURNING t.*),
      cut AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
               LATERAL howdah.pieces(a.firsts, a.counts, v_ids) p WHERE NOT v_all),
      rest AS (
        INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
        SELECT c.first_id, g.queue_id, r.slot, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.ready_at
          FROM cut c JOIN gone g ON g.first_id = c.run, howdah.ring r WHERE NOT c.taken AND r.name = 'returned')
      SELECT g.queue_id, g.priority, g.kind, g.attempt, coalesce(c.first_id, g.first_id), coalesce(c.jobs, g.jobs), g.gates
        FROM gone g LEFT JOIN cut c ON c.run = g.first_id WHERE v_all OR c.taken;
  END IF;
  IF take_range.states && '{scheduled,blocked,ready}' THEN
    RETURN QUERY
      WITH gone AS (
        DELETE FROM howdah.deferred d
         WHERE d.first_id > take_range.after AND d.first_id <= take_range.upto AND d.queue_id = ANY (take_range.queues)
           AND howdah.waits_as(d.gate) = ANY (take_range.states)
           AND (take_range.kind IS NULL OR d.kind = take_range.kind) AND (v_all OR d.first_id >> 7 = ANY (v_blocks)) RETURNING d.*),
      cut AS MATERIALIZED (
        SELECT p.* FROM (SELECT array_agg(g.first_id) AS firsts, array_agg(g.jobs) AS counts FROM gone g) a,
               LATERAL howdah.pieces(a.firsts, a.counts, v_ids) p WHERE NOT v_all),
      taken AS (
        SELECT g.queue_id, g.priority, g.kind, g.attempt, coalesce(c.first_id, g.first_id) AS first_id, coalesce(c.jobs, g.jobs) AS jobs, g.gates
          FROM gone g LEFT JOIN cut c ON c.run = g.first_id WHERE v_all OR c.taken),
      rest AS (
        INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
        SELECT g.due_at, c.first_id, g.queue_id, g.priority, c.jobs, g.attempt, g.kind, g.gates, g.gate
          FROM cut c JOIN gone g ON g.first_id = c.run WHERE NOT c.taken)
      SELECT * FROM taken;
  END IF;
END $$;
