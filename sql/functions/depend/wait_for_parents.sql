-- howdah.wait_for_parents(job_ids, parent_ids, on_failure) -> void
-- Says that blocked jobs wait for parents, all of them for each: see meet_parents. Internal: the caller has put the jobs into
-- howdah.deferred, blocked, each with a row of its own.
-- Writes: dependency, and see meet_parents. Errors: HD002, see meet_parents. Cost: two index entries for each pair.
CREATE OR REPLACE FUNCTION howdah.wait_for_parents(job_ids bigint[], parent_ids bigint[], on_failure text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.dependency (parent_id, job_id, on_failure)
  SELECT p.id, j.id, wait_for_parents.on_failure FROM unnest(wait_for_parents.job_ids) j(id), unnest(wait_for_parents.parent_ids) p(id)
  ON CONFLICT DO NOTHING;
  PERFORM howdah.meet_parents(wait_for_parents.job_ids, wait_for_parents.parent_ids);
END $$;
