-- howdah.go_on_after(first_ids, counts, failed) -> void
-- What must be done for the jobs that depend on jobs that have ended: see parents_ended. failed NULL: it is looked up, for
-- each of them, what became of it. Internal to howdah.ended. Writes: see parents_ended and look_later. Errors: none.
CREATE OR REPLACE FUNCTION howdah.go_on_after(first_ids bigint[], counts smallint[], failed boolean) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF go_on_after.failed IS NOT NULL THEN
    PERFORM howdah.look_later(howdah.parents_ended(go_on_after.first_ids, go_on_after.counts, go_on_after.failed));
    RETURN;
  END IF;
  PERFORM howdah.look_later(howdah.parents_ended(e.ids, array_fill(1::smallint, ARRAY[cardinality(e.ids)]), e.failed))
     FROM (SELECT array_agg(s.job_id) AS ids, s.state <> 'completed' AS failed
             FROM howdah.states_of(ARRAY(SELECT r.first_id + g FROM unnest(go_on_after.first_ids, go_on_after.counts) r(first_id, jobs),
                                                generate_series(0, r.jobs - 1) g)) s
            WHERE s.ended_at IS NOT NULL GROUP BY 2) e;
END $$;
