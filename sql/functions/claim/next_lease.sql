-- howdah.next_lease() -> bigint
-- The id of a lease that is to be made, in the partition that is written now: milliseconds << 22 | number << 2 | slot.
-- The commit of a claim does not wait for the disk, so a crash may undo it, and the sequence with it, while a worker still
-- holds what it was told: the time makes sure that no other claim gets the same id afterwards. Not howdah.now(), which
-- may stand still. 41 bits of milliseconds last for 69 years; then they begin anew. Internal to claims.
CREATE OR REPLACE FUNCTION howdah.next_lease() RETURNS bigint
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_ms bigint := date_part('epoch', clock_timestamp()) * 1000;
BEGIN
  RETURN ((v_ms - 1750000000000) & 2199023255551) << 22 | ((nextval('howdah.lease_seq') & 1048575) << 2)
       | (SELECT r.slot FROM howdah.ring r WHERE r.name = 'lease');
END $$;
