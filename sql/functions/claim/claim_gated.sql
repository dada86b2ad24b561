-- howdah.claim_gated(lease_id, queue_id, first_id, jobs, priority, attempt, kind, gates, ruled, want, busy) -> (taken, gone, busy)
-- What a claim does with a ticket that has gates, or whose kind has a rule: lets its first jobs through, at most `want`, has
-- others go aside, or puts the whole into the lane of its share. The caller has locked the ticket.
--   ruled  its kind has a rule
--   busy   gates where this claim has met somebody: it does not come to them again
--   taken  how many jobs go into the lease that is being made
--   gone   how many of the first jobs leave the ticket, these included
-- Internal to claim. Writes: deferred, and see admit. Locks: see admit.
CREATE OR REPLACE FUNCTION howdah.claim_gated(lease_id bigint, queue_id integer, first_id bigint, jobs integer, priority integer, attempt integer,
  kind text, gates text[], ruled boolean, want integer, INOUT busy text[], OUT taken integer, OUT gone integer)
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_gates text[] := claim_gated.gates || CASE WHEN claim_gated.ruled THEN ARRAY['kind:' || claim_gated.kind] END;
BEGIN
  taken := 0;
  gone := 0;
  IF claim_gated.gates[1] ^@ 'fair:' THEN
    -- It came back, or became due.
    gone := claim_gated.jobs;
    INSERT INTO howdah.deferred (due_at, first_id, queue_id, priority, jobs, attempt, kind, gates, gate)
      VALUES ('infinity', claim_gated.first_id, claim_gated.queue_id, claim_gated.priority, claim_gated.jobs, claim_gated.attempt, claim_gated.kind,
              claim_gated.gates, howdah.lane_of(claim_gated.queue_id, substr(claim_gated.gates[1], 6)));
  ELSIF NOT v_gates && claim_gated.busy THEN
    SELECT p.taken, p.taken + p.aside INTO taken, gone
      FROM howdah.admit(claim_gated.lease_id, claim_gated.queue_id, claim_gated.first_id, claim_gated.jobs, claim_gated.priority, claim_gated.attempt,
        claim_gated.kind, claim_gated.gates, claim_gated.want) p;
    IF gone = 0 THEN
      busy := claim_gated.busy || ARRAY(SELECT g FROM unnest(v_gates) g WHERE NOT g ^@ 'weight:');
    END IF;
  END IF;
END $$;
