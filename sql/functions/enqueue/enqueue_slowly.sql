-- howdah.enqueue_slowly(kind, payload, queue, priority, run_at, delay, max_attempts, options) -> bigint
-- What howdah.enqueue does not decide at a glance: jobs that are due later, queues with a bound, and everything that
-- must be refused. Internal: same arguments, writes, locks and errors as howdah.enqueue.
CREATE OR REPLACE FUNCTION howdah.enqueue_slowly(kind text, payload jsonb, queue text, priority integer, run_at timestamptz,
  delay interval, max_attempts integer, options jsonb)
RETURNS bigint LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
  RETURN (SELECT m.first_id FROM howdah.enqueue_many(enqueue_slowly.kind, ARRAY[enqueue_slowly.payload], enqueue_slowly.queue,
    enqueue_slowly.priority, enqueue_slowly.run_at, enqueue_slowly.delay, enqueue_slowly.max_attempts, enqueue_slowly.options) m);
END $$;
