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
-- their rooms until there are enough; else of some 20,000 of the newest, and where those are not enough, of all of them.
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
  v_next   bigint := 9223372036854775807;
  v_left   integer := find.most;
  v_size   integer := 256;
  v_found  integer;
BEGIN
  PERFORM howdah.check_states(find.states, '{scheduled,blocked,ready,running,completed,cancelled,expired,dead}'),
          howdah.check_most(find.most, 100000, find.ids);
  v_queues := CASE WHEN find.queue IS NOT NULL THEN v_queues END;
  v_ids := coalesce(find.ids, howdah.rare_matches(v_filter));
  IF v_ids IS NULL AND find.states IS NULL THEN
    -- Every job is in one of the states.
    RETURN QUERY SELECT i FROM unnest(howdah.find_newest(v_queues, find.kind, v_filter, v_next, find.most)) WITH ORDINALITY u(i, n) ORDER BY n;
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
  -- The newest that it can be, and of those what their rooms say. Where they do not end soon, as where many wait that are newer than
  -- whatever has ended, all that has ended is read at once.
  WHILE v_size <= 16384 LOOP
    v_ids := howdah.find_newest(v_queues, find.kind, v_filter, v_next, v_size);
    RETURN QUERY SELECT r.job_id FROM howdah.rooms_of(v_ids) r WHERE r.state = ANY (find.states) ORDER BY r.job_id DESC LIMIT v_left;
    GET DIAGNOSTICS v_found = ROW_COUNT;
    v_left := v_left - v_found;
    IF v_left <= 0 OR cardinality(v_ids) < v_size THEN
      RETURN;
    END IF;
    v_next := v_ids[v_size];
    v_size := 4 * v_size;
  END LOOP;
  RETURN QUERY
    SELECT j.id FROM howdah.jobs j
     WHERE j.id < v_next AND j.state = ANY (find.states) AND (find.queue IS NULL OR j.queue = find.queue) AND (find.kind IS NULL OR j.kind = find.kind)
       AND (v_filter IS NULL OR coalesce(j.options -> 'attributes', '{}') @@ v_filter)
     ORDER BY j.id DESC LIMIT v_left;
END $$;
