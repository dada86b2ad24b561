-- howdah.doctor_expected() -> (index, definition)
-- The indexes that migrations make, but for those of keys, as they are made. Whoever adds one in a migration adds it here: a
-- test compares the list with a fresh installation. Internal to doctor.
CREATE OR REPLACE FUNCTION howdah.doctor_expected() RETURNS TABLE (index text, definition text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT format('job_%s_id', s), format('UNIQUE INDEX job_%s_id ON howdah.job_%1$s (id)', s) FROM generate_series(0, 7) s
  UNION ALL
  SELECT format('lease_%s_id', s), format('UNIQUE INDEX lease_%s_id ON howdah.lease_%1$s (id)', s) FROM generate_series(0, 3) s
  UNION ALL
  SELECT (regexp_match(d, 'INDEX (\w+) ON'))[1], d FROM (VALUES
    ('INDEX ticket_order ON howdah.ticket (queue_id, priority, first_id)'),
    ('INDEX receipt_span ON howdah.receipt USING gist (span)'),
    ('INDEX failure_job ON howdah.failure (job_id, attempt)'),
    ('INDEX deferred_due ON howdah.deferred (due_at, first_id)'),
    ('INDEX deferred_queue ON howdah.deferred (queue_id)'),
    ('INDEX deferred_gate ON howdah.deferred (gate, priority, first_id) WHERE gate IS NOT NULL'),
    ('INDEX dead_queue_died_at ON howdah.dead (queue_id, died_at)'),
    ('INDEX unique_key_job ON howdah.unique_key (job_id)'),
    ('INDEX unique_key_expires ON howdah.unique_key (expires_at) WHERE expires_at IS NOT NULL'),
    ('INDEX result_job ON howdah.result (job_id)'),
    ('INDEX expiry_due ON howdah.expiry (expires_at, job_id)'),
    ('INDEX log_job ON howdah.log (job_id, attempt, at, line)'),
    ('INDEX queue_resume_at ON howdah.queue (resume_at) WHERE resume_at IS NOT NULL'),
    ('INDEX archive_id ON howdah.archive (id)'),
    ('INDEX archive_archived_at ON howdah.archive (archived_at)'),
    ('INDEX slot_gate ON howdah.slot (gate, lease_id)'),
    ('INDEX ordered_job ON howdah.ordered (job_id)'),
    ('INDEX gate_look_at ON howdah.gate_look (look_at)'),
    ('INDEX gate_look_gate ON howdah.gate_look (gate, look_at)'),
    ('INDEX flow_rule_prefix ON howdah.flow_rule (scope, name) WHERE right(name, 1) = ''*'''),
    ('INDEX schedule_look ON howdah.schedule (look_at)'),
    ('UNIQUE INDEX firing_slot ON howdah.firing (schedule, due_at) WHERE how <> ''by hand'''),
    ('INDEX firing_newest ON howdah.firing (schedule, fired_at)'),
    ('INDEX dependency_job ON howdah.dependency (job_id, parent_id)'),
    ('INDEX second_look_at ON howdah.second_look (look_at)'),
    ('INDEX workflow_prune ON howdah.workflow (prune_at)'),
    ('UNIQUE INDEX workflow_job_id ON howdah.workflow_job (job_id)'),
    ('UNIQUE INDEX workflow_end ON howdah.workflow (end_id) WHERE end_id IS NOT NULL'),
    ('INDEX workflow_callback ON howdah.workflow_job (workflow_id) WHERE callback'),
    ('INDEX failed_parent_job ON howdah.failed_parent (job_id)'),
    ('INDEX step_order ON howdah.step (job_id, n)'),
    ('INDEX step_awaits ON howdah.step (name, job_id) WHERE kind = ''signal'' AND state = ''waiting'''),
    ('INDEX past_step_job ON howdah.past_step (job_id, n)'),
    ('INDEX signal_new ON howdah.signal (sent_at) WHERE NOT delivered'),
    ('INDEX signal_expires ON howdah.signal (expires_at)'),
    ('INDEX operation_ended ON howdah.operation (ended_at)'),
    ('INDEX command_made_at ON howdah.command (made_at)'),
    ('INDEX receipt_at ON howdah.receipt (at)'),
    ('INDEX failure_at ON howdah.failure (at)'),
    ('INDEX failure_fingerprint ON howdah.failure (howdah.fingerprint(error_kind, message), at)')) v(d)
$$;
