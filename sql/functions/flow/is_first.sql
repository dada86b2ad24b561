-- howdah.is_first(order_key, job_id) -> boolean
-- Whether no unfinished job of an ordering key comes before this one. Those that failed and let others pass do not count.
-- Internal. Reads: ordered.
CREATE OR REPLACE FUNCTION howdah.is_first(order_key text, job_id bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
BEGIN
  RETURN NOT EXISTS (SELECT FROM howdah.ordered o WHERE o.key = is_first.order_key AND o.job_id < is_first.job_id AND NOT o.passed_by);
END $$;
