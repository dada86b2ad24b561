-- howdah.count_running(scope, name) -> void
-- Gives the jobs that run already the slots of a limit of a kind or key that was just set, so that it counts them too. What
-- is being claimed or ended at this very moment may be missed, or count until its lease ends.
-- Internal to set_limit. Writes: slot. Cost: a look at each job that runs, some 30 us.
CREATE OR REPLACE FUNCTION howdah.count_running(scope text, name text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO howdah.slot (lease_id, job_id, gate)
  SELECT l.id, j.id, g.gate
    FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs), generate_series(0, r.jobs - 1) n,
         LATERAL howdah.find_job(r.first_id + n) j,
         LATERAL unnest(CASE WHEN count_running.scope = 'kind' THEN ARRAY['kind:' || j.kind] ELSE howdah.gates_of(j.options) END) g(gate),
         LATERAL howdah.rule_of(g.gate) u
   WHERE u.scope = count_running.scope AND u.name = count_running.name
  ON CONFLICT DO NOTHING;
END $$;
