-- howdah.tail(seen, search, most) -> (now, events, more)
-- What has happened since a look: attempts that began and still run, that failed, and jobs that ended.
--   seen    `now` of the look before; NULL: nothing has happened yet, tell where now is
--   search  only of jobs that it means at this moment: what the search language compiles to; '{}': all jobs
--   most    how many events at most, 1 to 1,000: the newest
-- Returns
--   now     for the next look
--   events  an array, oldest first, of objects: at, event (began, completed, cancelled, expired, failed; dead: of this attempt, or of
--           expiry), id, queue, kind, attempt, worker_id, run_ms, error_kind, message (up to 1,000 characters)
--   more    there was more, or more to look at than 5,000, and the oldest of it is left out
-- The next look may tell an event again that is not older than the oldest transaction that was open at this one: leave out
-- what you have by id, attempt and event. So nothing is lost between two looks, but for what a transaction commits 15
-- seconds after it happened. An attempt that began and ended between two looks has one event: its end.
-- It waits for nobody, keeps nothing, and notifies nobody: any number may look, also through a pooler.
-- Reads: lease, settled, receipt, failure, dead, job, queue. Locks: none. Errors: HD002 invalid argument.
-- Cost: of what happened in these seconds, up to 5,000 of each sort: about 10 microseconds for each.
CREATE OR REPLACE FUNCTION howdah.tail(seen pg_snapshot DEFAULT NULL, search jsonb DEFAULT '{}', most integer DEFAULT 500,
  OUT now text, OUT events jsonb, OUT more boolean)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_looks constant integer := 5000;
  v_span  constant interval := '15 seconds';
  v_since timestamptz := howdah.now() - v_span;
  -- Ids of leases are times: see next_lease.
  v_lease bigint := ((date_part('epoch', clock_timestamp() - v_span) * 1000)::bigint - 1750000000000) << 22;
  -- Rows of transactions that began since the oldest one that was open then. A row of a part of a transaction (a savepoint) has a
  -- number of its own, which no snapshot names, but which is greater than that of the whole.
  v_age   integer := age(pg_snapshot_xmin(tail.seen)::xid);
  v_found jsonb[];
  v_ids   bigint[];
BEGIN
  PERFORM howdah.check_search(tail.search), howdah.check_most(tail.most, 1000, NULL);
  now := pg_current_snapshot()::text;
  IF tail.seen IS NULL THEN
    events := '[]';
    more := false;
    RETURN;
  END IF;
  v_found := ARRAY(SELECT to_jsonb(e) FROM howdah.tail_events(v_since, v_lease, v_age, v_looks + 1) e);
  more := cardinality(v_found) > v_looks;
  IF tail.search <> '{}' AND v_found <> '{}' THEN
    v_ids := ARRAY(SELECT m FROM howdah.search_matches(tail.search, ARRAY(SELECT DISTINCT (f ->> 'id')::bigint FROM unnest(v_found) f)) m);
    v_found := ARRAY(SELECT f FROM unnest(v_found) f WHERE (f ->> 'id')::bigint = ANY (v_ids));
  END IF;
  more := more OR cardinality(v_found) > tail.most;
  v_found := ARRAY(SELECT f FROM unnest(v_found) f ORDER BY (f ->> 'at')::timestamptz DESC LIMIT tail.most);
  v_ids := ARRAY(SELECT DISTINCT (f ->> 'id')::bigint FROM unnest(v_found) f);
  events := coalesce((
    SELECT jsonb_agg(f - 'queue_id' || jsonb_build_object('kind', j.kind, 'queue', q.name)
                     ORDER BY (f ->> 'at')::timestamptz, f ->> 'event' <> 'began', j.id)
      FROM unnest(v_found) f
      -- Without a job there is nothing to tell: it was deleted.
      JOIN howdah.find_jobs(v_ids) j ON j.id = (f ->> 'id')::bigint
      JOIN howdah.all_queues q ON q.id = j.queue_id), '[]');
END $$;
