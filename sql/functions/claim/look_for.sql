-- howdah.look_for(queue_id, jobs, filter, kinds, after, since, before, most, prefixes, except_kinds)
--   -> (ids, first_ids, counts, next)
-- Looks for ready jobs that match, in the order in which they are claimed, and locks nothing: see howdah.claim_where.
--   ids                which jobs match, at most `jobs`
--   first_ids, counts  the tickets that hold them
-- Internal. A place in the order is a priority and an id: priority << 56 | id.
-- Cost: two index entries for each ticket, one row for each job.
CREATE OR REPLACE FUNCTION howdah.look_for(queue_id integer, jobs integer, filter jsonpath, kinds text[], after bigint, since bigint, before bigint, most integer,
  prefixes text[], except_kinds text[], OUT ids bigint[], OUT first_ids bigint[], OUT counts smallint[], OUT next bigint)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_priority integer := coalesce(look_for.after >> 56, 0);
  v_id       bigint := coalesce(look_for.after & ((1::bigint << 56) - 1), 0);
  v_firsts   bigint[];
  v_counts   integer[];
  v_places   bigint[];
  v_kinds    text[];
  v_seen     bigint;
BEGIN
  -- Of `most` tickets, those whose jobs are the first `most`.
  SELECT array_agg(s.first_id), array_agg(s.jobs), array_agg(s.priority::bigint << 56 | s.first_id), array_agg(s.kind), count(*)
    INTO v_firsts, v_counts, v_places, v_kinds, v_seen
    FROM (SELECT t.*, sum(t.jobs) OVER (ORDER BY t.priority, t.first_id) - t.jobs AS before FROM (
            SELECT u.* FROM (
              SELECT k.* FROM generate_series(v_priority, coalesce(look_for.before >> 56, 9)) p, LATERAL (
                SELECT priority, first_id, jobs, kind FROM howdah.ticket
                 WHERE slot IN (0, 1) AND queue_id = look_for.queue_id AND priority = p
                   AND first_id > greatest(look_for.since, CASE WHEN p = v_priority THEN v_id ELSE 0 END)
                 ORDER BY first_id LIMIT look_for.most) k
              UNION ALL
              (SELECT priority, first_id, jobs, kind FROM howdah.ticket
                WHERE slot IN (2, 3) AND queue_id = look_for.queue_id AND (priority, first_id) > (v_priority, v_id)
                ORDER BY priority, first_id LIMIT look_for.most)) u
            WHERE look_for.before IS NULL OR (u.priority::bigint << 56 | u.first_id) < look_for.before
            ORDER BY u.priority, u.first_id LIMIT look_for.most) t) s
   WHERE s.before < look_for.most;
  IF v_seen = 0 THEN
    RETURN;
  END IF;
  WITH hit AS (
    SELECT m.id, u.place, u.first_id, u.jobs, row_number() OVER (ORDER BY u.place, m.id) AS n
      FROM howdah.matching(v_firsts, v_counts, look_for.filter) m(id)
      JOIN unnest(v_firsts, v_counts, v_places, v_kinds) u(first_id, jobs, place, kind)
        ON u.first_id >> 7 = m.id >> 7 AND m.id >= u.first_id AND m.id < u.first_id + u.jobs
     WHERE ((look_for.kinds IS NULL AND look_for.prefixes IS NULL) OR u.kind = ANY (look_for.kinds) OR u.kind ^@ ANY (look_for.prefixes))
       AND (look_for.except_kinds IS NULL OR u.kind <> ALL (look_for.except_kinds)))
  SELECT array_agg(h.id ORDER BY h.n) FILTER (WHERE h.n <= look_for.jobs), min(h.place) FILTER (WHERE h.n > look_for.jobs) - 1
    INTO ids, next FROM hit h;
  SELECT array_agg(u.first_id ORDER BY u.place), array_agg(u.jobs ORDER BY u.place) INTO first_ids, counts
    FROM unnest(v_firsts, v_counts, v_places) u(first_id, jobs, place)
   WHERE EXISTS (SELECT FROM unnest(ids) i WHERE i >= u.first_id AND i < u.first_id + u.jobs);
  -- What was passed over begins anew from the ticket where more was found, else from the last one.
  IF next IS NULL AND (SELECT sum(c) FROM unnest(v_counts) c) >= look_for.most THEN
    SELECT max(p) INTO next FROM unnest(v_places) p;
  END IF;
END $$;
