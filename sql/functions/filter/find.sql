-- howdah.find(queue, kind, states, filter, ids, most) -> setof bigint
-- The ids of jobs by what they are, newest first:
--   SELECT * FROM howdah.jobs_of(ARRAY(SELECT howdah.find(filter => '$.tenant == 42'))) ORDER BY id DESC
--   queue, kind  only these; NULL: any
--   states       only in these states; NULL: in any
--   filter       a predicate on attributes: see howdah.check_filter
--   ids          only these jobs, at most 10,000
--   most         how many, 1 to 100,000
-- Reads: howdah.jobs. Locks: none. Errors: HD001 unknown queue, HD002 invalid argument.
-- Cost: with the index of howdah.index_attributes, of the jobs that match; of states of jobs that have not ended well, of the newest of
-- their rooms until there are enough; else, a filter that matches few jobs looks at all of them.
CREATE OR REPLACE FUNCTION howdah.find(queue text DEFAULT NULL, kind text DEFAULT NULL, states text[] DEFAULT NULL,
  filter text DEFAULT NULL, ids bigint[] DEFAULT NULL, most integer DEFAULT 100)
RETURNS SETOF bigint LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan AS $$
DECLARE
  v_filter jsonpath := howdah.check_filter(find.filter);
  v_queues integer[] := howdah.selected_queues(find.queue);
  v_ids    bigint[];
  v_search jsonb;
  v_page   record;
  v_next   bigint;
  v_left   integer := find.most;
BEGIN
  PERFORM howdah.check_states(find.states, '{scheduled,blocked,ready,running,completed,cancelled,expired,dead}'),
          howdah.check_most(find.most, 100000, find.ids);
  v_ids := coalesce(find.ids, howdah.rare_matches(v_filter));
  IF v_ids IS NULL AND find.states IS NULL THEN
    -- The newest ids come first from an index. The view would look at every job.
    RETURN QUERY
      SELECT n.id FROM (
        (SELECT j.id FROM howdah.job j
          WHERE (find.queue IS NULL OR j.queue_id = ANY (v_queues)) AND (find.kind IS NULL OR j.kind = find.kind)
            AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter) ORDER BY j.id DESC LIMIT find.most)
        UNION
        (SELECT k.id FROM howdah.job_kept k
          WHERE (find.queue IS NULL OR k.queue_id = ANY (v_queues)) AND (find.kind IS NULL OR k.kind = find.kind)
            AND (v_filter IS NULL OR coalesce(k.options -> 'attributes', '{}') @@ v_filter) ORDER BY k.id DESC LIMIT find.most)) n
       ORDER BY n.id DESC LIMIT find.most;
    RETURN;
  END IF;
  IF v_ids IS NOT NULL THEN
    RETURN QUERY
      SELECT j.id FROM howdah.jobs_of(v_ids) j
       WHERE (find.states IS NULL OR j.state = ANY (find.states)) AND (find.queue IS NULL OR j.queue = find.queue)
         AND (find.kind IS NULL OR j.kind = find.kind) AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter)
       ORDER BY j.id DESC LIMIT find.most;
    RETURN;
  ELSIF find.states <@ '{scheduled,blocked,ready,running,dead}' THEN
    -- Room by room from the newest on, until there are enough.
    v_search := jsonb_strip_nulls(jsonb_build_object('states', find.states, 'attr', find.filter, 'row', nullif(concat_ws(' && ',
      '$.queue == ' || to_json(find.queue), '$.kind == ' || to_json(find.kind)), ''),
      'queues', CASE WHEN find.queue IS NOT NULL THEN ARRAY[find.queue] END, 'kinds', CASE WHEN find.kind IS NOT NULL THEN ARRAY[find.kind] END));
    LOOP
      v_page := howdah.search(v_search, v_next, least(v_left, 10000), 1000000, '1 day');
      RETURN QUERY SELECT i FROM unnest(v_page.ids) WITH ORDINALITY u(i, n) ORDER BY n;
      v_left := v_left - cardinality(v_page.ids);
      v_next := v_page.next;
      EXIT WHEN v_next IS NULL OR v_left <= 0;
    END LOOP;
    RETURN;
  END IF;
  RETURN QUERY
    SELECT j.id FROM howdah.jobs j
     WHERE j.state = ANY (find.states) AND (find.queue IS NULL OR j.queue = find.queue) AND (find.kind IS NULL OR j.kind = find.kind)
       AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter)
     ORDER BY j.id DESC LIMIT find.most;
END $$;
