-- howdah.prune(most) -> text
-- Removes what has outlived its retention and has no partition to be dropped with: dead jobs, kept rows of jobs that
-- are over, unique keys whose period is over, waiters that are gone,
-- signals that have expired, slots without a lease; asks again for those who wished in the last moment that something be
-- cancelled (hear_late_wishes); and then what goes by rows, see prune_history and prune_archive. At most `most` jobs of each.
-- Returns what it did, or NULL; what begins with `could not` is for a person to see.
-- Writes: dead, job_kept, cancel_request, unique_key, waiter, signal, gate, slot, and see prune_history and prune_archive. Errors: none.
CREATE OR REPLACE FUNCTION howdah.prune(most integer DEFAULT 1000) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_dead bigint;
  v_kept bigint;
  v_failed text;
BEGIN
  SELECT p.removed, p.failed INTO v_dead, v_failed FROM howdah.prune_dead(prune.most) p;
  DELETE FROM howdah.job_kept k WHERE k.id = ANY (ARRAY(
    SELECT j.id FROM howdah.job_kept j
     WHERE pg_relation_size(format('howdah.job_%s', (j.id >> 33) & 7)::regclass) = 0
       AND NOT EXISTS (SELECT FROM howdah.dead d WHERE d.job_id = j.id)
       AND NOT EXISTS (SELECT FROM howdah.deferred d WHERE d.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < d.first_id + d.jobs)
       AND NOT EXISTS (SELECT FROM howdah.ticket t WHERE t.queue_id = j.queue_id AND t.priority = j.priority
                          AND t.first_id BETWEEN (j.id >> 7 << 7) AND j.id AND j.id < t.first_id + t.jobs)
       AND NOT EXISTS (SELECT FROM howdah.lease l, unnest(l.first_ids, l.counts) r(first_id, jobs) WHERE j.id >= r.first_id AND j.id < r.first_id + r.jobs)
       AND NOT EXISTS (SELECT FROM howdah.receipt r WHERE r.span @> j.id)
     LIMIT prune.most));
  GET DIAGNOSTICS v_kept = ROW_COUNT;
  PERFORM howdah.hear_late_wishes(prune.most);
  DELETE FROM howdah.unique_key u WHERE u.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.unique_key k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  DELETE FROM howdah.waiter w WHERE w.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.waiter k WHERE k.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  -- A gate of which nothing is known but that all its tokens are there is as good as none.
  DELETE FROM howdah.gate g WHERE g.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.gate k WHERE k.full_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  -- What a new limit has counted while it ended.
  DELETE FROM howdah.slot s WHERE s.ctid = ANY (ARRAY(
    SELECT k.ctid FROM howdah.slot k
     WHERE NOT EXISTS (SELECT FROM howdah.lease l WHERE (l.id & 3) = (k.lease_id & 3) AND l.id = k.lease_id)
     LIMIT prune.most FOR UPDATE SKIP LOCKED));
  DELETE FROM howdah.signal s WHERE s.ctid = ANY (ARRAY(
    SELECT g.ctid FROM howdah.signal g WHERE g.expires_at < howdah.now() LIMIT prune.most FOR UPDATE SKIP LOCKED));
  IF v_failed IS NOT NULL THEN
    RETURN format('could not remove dead jobs of %s', v_failed);
  ELSIF v_dead + v_kept > 0 THEN
    RETURN format('pruned %s dead and %s kept jobs', v_dead, v_kept);
  END IF;
  RETURN coalesce(howdah.prune_history(prune.most), howdah.prune_archive(prune.most), howdah.prune_audit(prune.most));
END $$;
