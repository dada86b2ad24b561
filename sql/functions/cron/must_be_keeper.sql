-- howdah.must_be_keeper(worker_id, term) -> void
-- Refuses what only the keeper in office may do. Reads: keeper. Errors: HD011 another keeper was elected. Internal.
CREATE OR REPLACE FUNCTION howdah.must_be_keeper(worker_id bigint, term bigint) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
#variable_conflict use_column
BEGIN
  IF NOT EXISTS (SELECT FROM howdah.keeper k
                  WHERE k.term = must_be_keeper.term AND k.worker_id = must_be_keeper.worker_id AND k.expires_at >= howdah.now()) THEN
    RAISE EXCEPTION 'the keeper''s term % is over', must_be_keeper.term USING ERRCODE = 'HD011';
  END IF;
END $$;
