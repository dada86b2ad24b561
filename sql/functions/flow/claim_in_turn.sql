-- howdah.claim_in_turn(lease_id, queue_id, want, kinds, prefixes, except_kinds, limited)
--   -> (first_ids, counts, attempts)
-- Takes up to `want` jobs out of the lanes of a queue of shares into a lease that is being made: from each lane as many
-- as its share weighs, beginning behind the lane where the last claim stopped. Within a lane in order of priority and
-- then of enqueueing. Of many jobs, a lane gives an eighth at a time (more, if its share weighs more): one at a time
-- would cost more than most jobs do.
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
  v_turns  regclass := format('howdah.turn_%s', (claim_in_turn.queue_id + hashtext(concat_ws(' ', claim_in_turn.kinds, claim_in_turn.prefixes, claim_in_turn.except_kinds))) & 63)::regclass;
  -- The lane where the last claim stopped, and how much of its turn was used; 0: all of it.
  v_last   bigint := coalesce(pg_sequence_last_value(v_turns), 0);
  v_used   integer := v_last & 8191;
  v_at     text := v_prefix || lpad(to_hex(v_last >> 13), 13, '0') || CASE WHEN v_used > 0 THEN ':' ELSE ';' END;
  v_ruled  boolean := EXISTS (SELECT FROM howdah.flow_rule f WHERE f.scope = 'share');
  v_unit   integer := greatest(1, claim_in_turn.want / 8);
  v_hash   bigint;
  v_turn   integer;
  v_taken  integer;
  v_left   integer := claim_in_turn.want;
  v_looked integer := 0;
  v_idle   text;
  d        record;
  a        record;
BEGIN
  WHILE v_left > 0 AND v_looked < 1000 LOOP
    SELECT k.ctid AS tid, k.gate, k.first_id, k.jobs, k.attempt,
           -- A job like most: nothing stops it but its turn.
           k.gates[2] IS NULL AND (claim_in_turn.limited IS NULL OR k.kind <> ALL (claim_in_turn.limited))
             AND (claim_in_turn.kinds IS NULL OR k.kind = ANY (claim_in_turn.kinds) OR k.kind ^@ ANY (claim_in_turn.prefixes))
             AND (claim_in_turn.except_kinds IS NULL OR k.kind <> ALL (claim_in_turn.except_kinds)) AS plain
      INTO d FROM howdah.deferred k WHERE k.gate > v_at AND k.gate < v_end ORDER BY k.gate, k.priority, k.first_id LIMIT 1
       FOR UPDATE SKIP LOCKED;
    IF NOT FOUND THEN
      EXIT WHEN v_at = v_prefix;
      v_at := v_prefix;
      CONTINUE;
    END IF;
    -- Once round, and none of them gave anything.
    EXIT WHEN d.gate = v_idle;
    v_hash := ('x000' || substr(d.gate, length(v_prefix) + 1, 13))::bit(64)::bigint;
    v_used := CASE WHEN v_hash = v_last >> 13 AND v_looked = 0 THEN v_used ELSE 0 END;
    v_turn := v_unit;
    IF v_ruled THEN
      v_turn := least(8191, v_unit * howdah.weight_of(substr(d.gate, length(v_prefix) + 15)));
    END IF;
    v_turn := greatest(1, v_turn - v_used);
    v_taken := 0;
    IF d.plain THEN
      v_taken := least(d.jobs, v_turn, v_left);
      IF v_taken < d.jobs THEN
        UPDATE howdah.deferred SET first_id = first_id + v_taken, jobs = jobs - v_taken WHERE ctid = d.tid;
      ELSE
        DELETE FROM howdah.deferred WHERE ctid = d.tid;
      END IF;
      first_ids := first_ids || d.first_id;
      counts := counts || v_taken::smallint;
      attempts := attempts || (d.attempt + 1)::smallint;
    END IF;
    IF v_taken < least(v_turn, v_left) THEN
      a := howdah.claim_lane(claim_in_turn.lease_id, d.gate, least(v_left, v_turn) - v_taken, claim_in_turn.kinds, claim_in_turn.prefixes,
        claim_in_turn.except_kinds, claim_in_turn.limited);
      first_ids := first_ids || a.first_ids;
      counts := counts || a.counts;
      attempts := attempts || a.attempts;
      v_taken := v_taken + a.taken;
    END IF;
    -- A turn that is cut short by the end of the claim goes on with the next one.
    v_last := v_hash << 13 | CASE WHEN v_taken = v_left AND v_taken < v_turn THEN v_used + v_taken ELSE 0 END;
    v_idle := CASE WHEN v_taken = 0 THEN coalesce(v_idle, d.gate) END;
    v_left := v_left - v_taken;
    v_looked := v_looked + 1;
    v_at := d.gate;
  END LOOP;
  IF v_looked > 0 THEN
    PERFORM setval(v_turns, v_last);
  END IF;
END $$;
