-- howdah.refuse_circle(job_id, parent_ids) -> void
-- Refuses dependencies by which a job would wait for itself, over however many others: goes up from the parents to all that
-- they wait for. Internal to add_dependency and insert_nodes. Errors: HD002 (invalid argument) with COLUMN depends_on.
CREATE OR REPLACE FUNCTION howdah.refuse_circle(job_id bigint, parent_ids bigint[]) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_seen   bigint;
  v_circle boolean;
  v_below  bigint[];
  v_at     bigint;
  v_path   text := refuse_circle.job_id || ' -> ';
BEGIN
  WITH RECURSIVE up(id) AS (
    SELECT u FROM unnest(refuse_circle.parent_ids) u
    UNION
    SELECT d.parent_id FROM up u, LATERAL (SELECT x.parent_id FROM howdah.dependency x WHERE x.job_id = u.id) d)
  SELECT count(*), bool_or(u.id = refuse_circle.job_id) INTO v_seen, v_circle FROM (SELECT id FROM up LIMIT 100001) u;
  IF v_circle THEN
    -- Every parent that is below the job is on a way up to it.
    WITH RECURSIVE down(id) AS (
      SELECT refuse_circle.job_id
      UNION
      SELECT d.job_id FROM down u, LATERAL (SELECT x.job_id FROM howdah.dependency x WHERE x.parent_id = u.id) d)
    SELECT array_agg(u.id) INTO v_below FROM down u;
    v_at := (SELECT min(u) FROM unnest(refuse_circle.parent_ids) u WHERE u = ANY (v_below));
    WHILE v_at <> refuse_circle.job_id LOOP
      v_path := v_path || v_at || ' -> ';
      v_at := (SELECT min(d.parent_id) FROM howdah.dependency d WHERE d.job_id = v_at AND d.parent_id = ANY (v_below));
    END LOOP;
    PERFORM howdah.option_refused('depends_on', format('would make a circle: %s', v_path || refuse_circle.job_id));
  ELSIF v_seen > 100000 THEN
    PERFORM howdah.option_refused('depends_on', format('job %s waits for more than 100000 others, and whether that makes a circle was not looked at to the end',
      refuse_circle.parent_ids[1]));
  END IF;
END $$;
