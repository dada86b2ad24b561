-- howdah.promote(most, since) -> (promoted, next_ms)
-- Makes ready what has become due, in order, at most `most` runs.
--   since     nothing that was due before is looked at, so that dead rows are not walked over; leave it out
--             now and then to find what was committed late
--   promoted  how many runs became ready: if it is `most`, call again
--   next_ms   milliseconds until the next one is due that is not due yet; NULL if there is none
-- Writes: deferred, ticket. Locks: rows of deferred, skipping what others have locked. Errors: none.
CREATE OR REPLACE FUNCTION howdah.promote(most integer DEFAULT 1000, since timestamptz DEFAULT '-infinity', OUT promoted integer, OUT next_ms bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_now   timestamptz := howdah.now();
  v_woken bigint;
BEGIN
  WITH due AS MATERIALIZED (
    SELECT d.ctid FROM howdah.deferred d WHERE d.due_at >= promote.since AND d.due_at <= v_now
     ORDER BY d.due_at, d.first_id LIMIT promote.most FOR UPDATE SKIP LOCKED),
  gone AS (
    DELETE FROM howdah.deferred d WHERE d.ctid = ANY (ARRAY(SELECT ctid FROM due)) RETURNING d.*),
  back AS (
    INSERT INTO howdah.ticket (first_id, queue_id, slot, priority, jobs, attempt, kind, gates, ready_at)
    SELECT g.first_id, g.queue_id, r.slot, g.priority, g.jobs, g.attempt, g.kind, g.gates, v_now FROM gone g, howdah.ring r WHERE r.name = 'returned'
    RETURNING queue_id)
  SELECT coalesce(sum(b.n), 0), count(howdah.wake(b.queue_id)) INTO promoted, v_woken
    FROM (SELECT queue_id, count(*) AS n FROM back GROUP BY queue_id) b;
  -- What is due and still there is locked by somebody (or more than `most`): looked at again by the clock, since a
  -- timer for it would ring all the time.
  SELECT greatest(0, ceil(extract(epoch FROM d.due_at - howdah.now()) * 1000)) INTO next_ms
    FROM howdah.deferred d WHERE d.due_at >= promote.since AND d.due_at > v_now AND d.due_at < 'infinity' ORDER BY d.due_at LIMIT 1;
END $$;
