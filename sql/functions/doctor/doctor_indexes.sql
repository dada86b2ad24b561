-- howdah.doctor_indexes(asked) -> findings, see howdah.doctor_checks
-- Indexes that are missing, and indexes of this schema that are not valid, as an interrupted CREATE INDEX CONCURRENTLY leaves
-- them. Internal to doctor. Reads: the catalog.
CREATE OR REPLACE FUNCTION howdah.doctor_indexes(asked jsonb)
RETURNS TABLE (state text, found text, proof text, advice text, sql text, detail jsonb)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_schema oid := rtrim('howdah.', '.')::regnamespace;
BEGIN
  RETURN QUERY
    SELECT 'problem', format('index %s is missing: statements that need it read whole tables', e.index),
      format('SELECT indexname FROM pg_indexes WHERE schemaname = %L AND indexname = %L', rtrim('howdah.', '.'), e.index),
      'make it again (who writes to the table waits meanwhile)', 'CREATE ' || e.definition, jsonb_build_object('index', e.index, 'definition', e.definition)
      FROM howdah.doctor_expected() e
     WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = v_schema AND c.relname = e.index AND c.relkind IN ('i', 'I'));
  RETURN QUERY
    SELECT 'problem', format('index %s of %s is not valid: it is kept up to date and used by nothing', i.indexrelid::regclass, i.indrelid::regclass),
      format('SELECT indisvalid, indisready FROM pg_index WHERE indexrelid = %L::regclass', i.indexrelid::regclass),
      'build it anew (the table can be used meanwhile)', format('REINDEX INDEX CONCURRENTLY %s', i.indexrelid::regclass),
      jsonb_build_object('index', i.indexrelid::regclass::text, 'table', i.indrelid::regclass::text)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = v_schema AND NOT (i.indisvalid AND i.indisready AND i.indislive)
       -- Somebody is building it at this moment.
       AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid);
END $$;
