-- howdah.may_remain(slot, first_page, next_page) -> boolean
-- Whether there are receipts in some pages of a slot that are to go by rows, now or later. Internal to prune_history.
CREATE OR REPLACE FUNCTION howdah.may_remain(slot integer, first_page bigint, next_page bigint) RETURNS boolean
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
  v_remains boolean;
BEGIN
  EXECUTE format('
    SELECT EXISTS (SELECT FROM howdah.receipt_%s e JOIN howdah.retentions() k ON k.queue_id = e.queue_id AND k.outcome = e.outcome
                    WHERE k.by_rows AND e.ctid >= $1 AND e.ctid < $2)', may_remain.slot) INTO v_remains
    USING format('(%s,0)', may_remain.first_page)::tid, format('(%s,0)', may_remain.next_page)::tid;
  RETURN v_remains;
END $$;
