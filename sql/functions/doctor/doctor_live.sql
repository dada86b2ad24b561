-- howdah.doctor_live() -> setof worker
-- The workers that are heard of and take jobs. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_live() RETURNS SETOF howdah.worker
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT * FROM howdah.worker w WHERE NOT w.stopping AND w.heartbeat_at + make_interval(secs => w.lease_ms / 1000.0) >= howdah.now()
$$;
