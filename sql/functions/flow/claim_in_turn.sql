-- howdah.claim_in_turn(lease_id, queue_id, want, kinds, prefixes, except_kinds, limited)
--   -> (first_ids, counts, attempts)
-- Takes up to `want` jobs out of the lanes of a queue of shares into a lease that is being made: from each lane as many
-- as its share weighs, beginning behind the lane where the last claim stopped. Within a lane in order of priority and
-- then of enqueueing.
--   limited  kinds that have a rule
-- Internal to howdah.claim. Writes: deferred, and see admit; the sequence of the queue's turn. Locks: rows of deferred,
-- skipping what others have locked.
-- Cost: one index descent for each lane that is looked at.
CREATE OR REPLACE FUNCTION howdah.claim_in_turn(lease_id bigint, queue_id integer, want integer, kinds text[], prefixes text[], except_kinds text[],
  limited text[], OUT first_ids bigint[], OUT counts smallint[], OUT attempts smallint[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET jit = off AS $$
#variable_conflict use_column
DECLARE
  v_prefix text := 'fair:' || claim_in_turn.queue_id || ':';
  v_end    text := 'fair:' || claim_in_turn.queue_id || ';';
  -- Workers that take other kinds have a turn of their own.
  v_turn   regclass := format('howdah.turn_%s', (claim_in_turn.queue_id + hashtext(concat_ws(' ', claim_in_turn.kinds, claim_in_turn.prefixes, claim_in_turn.except_kinds))) & 63)::regclass;
  -- The lane where the last claim stopped, and how much of its turn was used; 0: all of it.
  v_last   bigint := coalesce(pg_sequence_last_value(v_turn), 0);
  v_used   integer := v_last & 1023;
  v_at     text := v_prefix || lpad(to_hex(v_last >> 10), 13, '0') || CASE WHEN v_used > 0 THEN ':' ELSE ';' END;
  v_hash   bigint;
  v_weight integer;
  v_left   integer := claim_in_turn.want;
  v_looked integer := 0;
  v_lane   text;
  v_idle   text;
  a        record;
BEGIN
  WHILE v_left > 0 AND v_looked < 1000 LOOP
    SELECT d.gate INTO v_lane FROM howdah.deferred d WHERE d.gate > v_at AND d.gate < v_end ORDER BY d.gate LIMIT 1;
    IF v_lane IS NULL THEN
      EXIT WHEN v_at = v_prefix;
      v_at := v_prefix;
      CONTINUE;
    END IF;
    -- Once round, and none of them gave anything.
    EXIT WHEN v_lane = v_idle;
    v_hash := ('x000' || substr(v_lane, length(v_prefix) + 1, 13))::bit(64)::bigint;
    v_used := CASE WHEN v_hash = v_last >> 10 AND v_looked = 0 THEN v_used ELSE 0 END;
    v_weight := greatest(1, howdah.weight_of(substr(v_lane, length(v_prefix) + 15)) - v_used);
    a := howdah.claim_lane(claim_in_turn.lease_id, v_lane, least(v_left, v_weight), claim_in_turn.kinds, claim_in_turn.prefixes,
      claim_in_turn.except_kinds, claim_in_turn.limited);
    -- A turn that is cut short by the end of the claim goes on with the next one.
    PERFORM setval(v_turn, v_hash << 10 | CASE WHEN a.taken = v_left AND a.taken < v_weight THEN v_used + a.taken ELSE 0 END);
    v_idle := CASE WHEN a.taken = 0 THEN coalesce(v_idle, v_lane) END;
    first_ids := first_ids || a.first_ids;
    counts := counts || a.counts;
    attempts := attempts || a.attempts;
    v_left := v_left - a.taken;
    v_looked := v_looked + 1;
    v_at := v_lane;
  END LOOP;
END $$;
