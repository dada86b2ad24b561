-- howdah.with_dependencies(options, old) -> jsonb
-- Options with what the old ones say of other jobs that are waited for, and of when the job is due after that, instead of what
-- they say themselves. old NULL: the job waits for none. Internal.
CREATE OR REPLACE FUNCTION howdah.with_dependencies(options jsonb, old jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  IF with_dependencies.old IS NULL THEN
    RETURN nullif(with_dependencies.options - '{depends_on,on_parent_failure,due_at}'::text[], '{}');
  END IF;
  RETURN (coalesce(with_dependencies.options, '{}') - '{depends_on,on_parent_failure,due_at}'::text[])
    || (SELECT jsonb_object_agg(o.key, o.value) FROM jsonb_each(with_dependencies.old) o
         WHERE o.key IN ('depends_on', 'on_parent_failure', 'due_at'));
END $$;
