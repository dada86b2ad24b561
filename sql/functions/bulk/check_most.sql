-- howdah.check_most(most, highest, ids) -> void
-- Refuses a number of jobs at a time that is out of range, and more ids than one call can take. Internal. Errors: HD002.
CREATE OR REPLACE FUNCTION howdah.check_most(most integer, highest integer, ids bigint[]) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF check_most.most IS NULL OR check_most.most NOT BETWEEN 1 AND check_most.highest THEN
    RAISE EXCEPTION 'most must be 1 to %, not %', check_most.highest, coalesce(check_most.most::text, 'NULL')
      USING ERRCODE = 'HD002', COLUMN = 'most';
  END IF;
  IF cardinality(check_most.ids) > 10000 THEN
    RAISE EXCEPTION 'ids must be at most 10000, not %', cardinality(check_most.ids)
      USING ERRCODE = 'HD002', COLUMN = 'ids', HINT = 'Call it several times.';
  END IF;
END $$;
