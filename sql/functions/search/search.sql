-- howdah.search(search, before, most, looks, patience) -> (ids, next, looked)
-- The ids of jobs that a search means, newest first: one page of them.
--   search    what the search language compiles to (docs/search.md): howdah.check_search says what may be in it; '{}':
--             all jobs
--   before    only ids below this one: `next` of the page before; NULL: from the newest
--   most      how many, 1 to 10,000
--   looks     stop when so many jobs have been looked at, 1 to 1,000,000 (the last step may go a little over)
--   patience  stop when it has taken so long
-- Returns
--   ids       newest first
--   next      where the next page begins; NULL: every job has been looked at
--   looked    how many jobs, and rows that stand for several, were looked at
-- A job that fits the search all the while from the first page to the last is found once, however it moves between the
-- rooms meanwhile.
-- Reads: the tables behind howdah.jobs. Locks: none. Errors: HD002 invalid argument.
-- Cost: where ids, a unique key, a workflow, or attributes with the index of howdah.index_attributes say which jobs there
-- can be: of those. Else, for states of jobs that have not ended well (scheduled, blocked, ready, running, dead), of the rows
-- of their rooms, of which one may stand for 128 jobs of a kind; else of the newest jobs, about 20 microseconds each.
CREATE OR REPLACE FUNCTION howdah.search(search jsonb, before bigint DEFAULT NULL, most integer DEFAULT 100, looks integer DEFAULT 20000,
  patience interval DEFAULT '1 second', OUT ids bigint[], OUT next bigint, OUT looked bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
DECLARE
  -- The time that people wait, which no test replaces.
  v_end   timestamptz := clock_timestamp() + search.patience;
  v_known bigint[];
  v_next  bigint;
  v_step  record;
  v_found bigint[];
  -- In rows; one may stand for many jobs, and how many of them remain is only seen then.
  v_size  integer := 16;
BEGIN
  PERFORM howdah.check_search(search.search), howdah.check_most(search.most, 10000, NULL);
  IF search.looks IS NULL OR search.looks NOT BETWEEN 1 AND 1000000 THEN
    RAISE EXCEPTION 'looks must be 1 to 1000000, not %', coalesce(search.looks::text, 'NULL') USING ERRCODE = 'HD002', COLUMN = 'looks';
  END IF;
  ids := '{}';
  looked := 0;
  v_next := least(search.before, (search.search ->> 'upto_id')::bigint + 1, 9223372036854775807);
  v_known := howdah.search_known(search.search);
  LOOP
    v_step := howdah.search_step(search.search, v_known, v_next, v_size);
    looked := looked + v_step.looked;
    v_found := ARRAY(SELECT m FROM howdah.search_matches(search.search, v_step.ids) m ORDER BY m DESC);
    ids := ids || v_found;
    IF cardinality(ids) > search.most THEN
      ids := ids[1:search.most];
      next := ids[search.most];
      RETURN;
    END IF;
    v_next := v_step.next;
    IF v_next IS NULL OR cardinality(ids) = search.most OR looked >= search.looks OR clock_timestamp() >= v_end THEN
      next := v_next;
      RETURN;
    END IF;
    v_size := CASE WHEN cardinality(v_step.ids) > 2048 THEN greatest(v_size / 2, 16) WHEN cardinality(v_step.ids) > 1023 THEN v_size ELSE least(2 * v_size, 1024) END;
  END LOOP;
END $$;
