-- howdah.keeper_vacant() -> boolean
-- Whether the keeper's office can be taken: nobody has it, its term has run out, or its holder has missed a
-- heartbeat and its session has ended. No term is as long as two minutes: one that ends later was begun before the clock
-- went back. Cheap: workers ask with each heartbeat.
-- Reads: keeper, worker. Errors: none.
CREATE OR REPLACE FUNCTION howdah.keeper_vacant() RETURNS boolean
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT k.expires_at < howdah.now() OR k.expires_at > howdah.now() + interval '2 minutes'
      OR EXISTS (SELECT FROM howdah.worker w WHERE w.id = k.worker_id AND howdah.session_ended(w))
    FROM howdah.keeper k
$$;
