-- howdah.rotate() -> text
-- The keeper's slow chore: turns one ring, or truncates one partition, or prunes one batch, so that nothing
-- grows without bound. Returns what it did, or `could not ...`, which is for a person to see; NULL when there is nothing
-- to do. Never waits for a lock of its own; but a queue's before_removal may take its time.
-- It goes on with operations that nobody goes on with. The statistics are its, too: it adds up what workers have reported, removes what is old,
-- and notes once a minute how full the queues are.
-- Call it until it returns NULL, each time in a transaction of its own. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rotate() RETURNS text
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
  SELECT coalesce(
    howdah.rotate_ring('ticket', 'ticket', '{0,1}', 8388608),
    howdah.rotate_ring('returned', 'ticket', '{2,3}', 8388608),
    howdah.rotate_ring('lease', 'lease', '{0,1,2,3}', 8388608),
    howdah.rotate_history(),
    howdah.rotate_jobs(),
    howdah.sweep_deleted(),
    howdah.prune_workflows(),
    howdah.prune(),
    howdah.continue_operations(),
    howdah.fold_stats(),
    howdah.rotate_ring('stat_report', 'stat_report', '{0,1}', 1048576),
    howdah.prune_stats(10000),
    howdah.note_depths())
$$;
