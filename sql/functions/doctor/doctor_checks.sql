-- howdah.doctor_checks() -> (name, healthy)
-- What howdah.doctor looks at, in this order, and what it says when nothing is wrong with it. The function behind a check is
-- howdah.doctor_NAME(asked): a row for each finding, none if all is well.
--   asked  {"client": {...}, "limits": {...}}, both whole: see howdah.doctor
--   state, found, proof, detail  as in howdah.doctor
--   advice, sql  what to do, and the statements that do it: each on a line of its own, between them ';'
-- Errors: none.
CREATE OR REPLACE FUNCTION howdah.doctor_checks() RETURNS TABLE (name text, healthy text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  VALUES
    ('schema',      'the schema, its functions and all workers are of one release'),
    ('unserved',    'every queue that has jobs has a worker'),
    ('kinds',       'every kind that waits in front has a worker'),
    ('waiting',     'no job waits for long'),
    ('paused',      'no paused queue has jobs'),
    ('keeper',      'nothing that is due waits for a keeper'),
    ('leases',      'every worker is heard of, and every lease has its worker'),
    ('dead',        'few jobs die'),
    ('schedules',   'every schedule can be worked out, and none is late'),
    ('removal',     'what has ended is removed in time'),
    ('orphans',     'no key, slot or settled job was left behind'),
    ('payloads',    'the payloads of the newest jobs are far from their limits'),
    ('rings',       'every ring turns'),
    ('bloat',       'no table and no index is much larger than its rows'),
    ('indexes',     'every index is there and valid'),
    ('autovacuum',  'autovacuum is on and keeps up'),
    ('horizon',     'nothing keeps old rows from being cleaned up'),
    ('notify',      'the queue of notifications is short'),
    ('connections', 'there are connections to spare'),
    ('wraparound',  'no transaction id is near its end'),
    ('clock',       'the clocks agree, and go forward'),
    ('pooler',      'no pooler stands between workers and the server, as far as can be seen'),
    ('settings',    'no setting endangers jobs or cuts transactions off'),
    ('privileges',  'PUBLIC has no rights, and no worker is a superuser')
$$;
