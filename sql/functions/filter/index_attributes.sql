-- howdah.index_attributes(wanted) -> setof text
-- Gives the statements that build (or, if not wanted, drop) an index over the attributes of jobs, for filters that say
-- `==`. Nothing is done by the call itself: building an index without making enqueuers wait cannot be done inside a
-- function. Run them one by one, outside of a transaction. In psql:
--   SELECT howdah.index_attributes(true) \gexec
-- There is a statement for each partition of howdah.job, so that an interrupted build is continued by asking again;
-- what a broken build left behind is dropped first. Nothing comes back when all is as it is wanted.
-- What it costs: jobs without attributes pay nothing; those with some up to a quarter more at their enqueue.
-- It is used by howdah.find and by the operations on many jobs, when a filter matches no more than 10,000 jobs.
-- Reads: the catalog. Errors: none.
CREATE OR REPLACE FUNCTION howdah.index_attributes(wanted boolean DEFAULT true) RETURNS SETOF text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_table text;
  v_valid boolean;
BEGIN
  FOREACH v_table IN ARRAY '{job_0,job_1,job_2,job_3,job_4,job_5,job_6,job_7,job_kept}'::text[] LOOP
    SELECT i.indisvalid INTO v_valid FROM pg_index i WHERE i.indexrelid = to_regclass(format('howdah.%I', v_table || '_attributes'));
    IF v_valid IS NOT NULL AND NOT (v_valid AND index_attributes.wanted) THEN
      RETURN NEXT format('DROP INDEX CONCURRENTLY IF EXISTS howdah.%I', v_table || '_attributes');
    END IF;
    IF index_attributes.wanted AND v_valid IS NOT TRUE THEN
      RETURN NEXT format('CREATE INDEX CONCURRENTLY %I ON howdah.%I USING gin ((options -> ''attributes'') jsonb_path_ops) '
        'WHERE options -> ''attributes'' IS NOT NULL', v_table || '_attributes', v_table);
      -- How common a value is, so that the planner can tell a rare one.
      RETURN NEXT format('ANALYZE howdah.%I', v_table);
    END IF;
  END LOOP;
END $$;
