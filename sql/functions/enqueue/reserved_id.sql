-- howdah.reserved_id(id, jobs) -> bigint
-- Checks an id that a caller brings: it must come from howdah.reserve_id, be for one job, and not be in use, nor have been as far as
-- history goes: what is kept of a job that was deleted would be told of the new one.
-- Two enqueues of one id at the same time: the second one fails with a unique violation. Internal.
-- Errors: HD002 (invalid argument) with COLUMN id.
CREATE OR REPLACE FUNCTION howdah.reserved_id(id bigint, jobs integer) RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  IF reserved_id.jobs <> 1 THEN
    PERFORM howdah.option_refused('id', 'is for one job, and there are ' || reserved_id.jobs);
  END IF;
  IF reserved_id.id & 127 <> 0 OR reserved_id.id >> 7 > (SELECT s.last_value FROM howdah.block_seq s) THEN
    PERFORM howdah.option_refused('id', 'must come from howdah.reserve_id(), and this does not');
  END IF;
  IF EXISTS (SELECT FROM howdah.find_job(reserved_id.id)) THEN
    PERFORM howdah.option_refused('id', format('%s belongs to a job already', reserved_id.id));
  END IF;
  -- Nobody shares its block of 128.
  IF EXISTS (SELECT FROM howdah.receipt r WHERE r.span @> reserved_id.id AND reserved_id.id = ANY (r.first_ids)) THEN
    PERFORM howdah.option_refused('id', format('%s was that of a job that has ended', reserved_id.id));
  END IF;
  RETURN reserved_id.id;
END $$;
