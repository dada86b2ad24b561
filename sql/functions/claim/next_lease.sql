-- howdah.next_lease() -> bigint
-- The id of a lease that is to be made, in the partition that is written now. Internal to claims.
CREATE OR REPLACE FUNCTION howdah.next_lease() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN nextval('howdah.lease_seq') << 2 | (SELECT r.slot FROM howdah.ring r WHERE r.name = 'lease');
END $$;
