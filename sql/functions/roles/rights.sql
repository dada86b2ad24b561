-- howdah.rights() -> (object, privilege, roles)
-- What each role of howdah.create_roles may do; what is not here is for the owner alone. An object is a function (whatever its
-- arguments), a table or a view of this schema. A function is here unless its contract calls it internal: a test holds that.
--   producer  enqueues, and sees no job: neither its own nor one of others
--   worker    serves queues, enqueues, and keeps the queue in order
--   viewer    sees everything, payloads as well, and changes nothing
--   operator  what a viewer and a producer may, and everything that the command `howdah` does to jobs and settings
-- Internal to grant_rights. Errors: none.
CREATE OR REPLACE FUNCTION howdah.rights() RETURNS TABLE (object text, privilege text, roles text[])
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
  SELECT o.object, g.privilege, string_to_array(g.roles, ' ')
    FROM (VALUES
      -- Of arguments and times: they know nothing of jobs.
      ('EXECUTE', 'producer worker viewer operator', 'now at_micros span_micros micros'),
      -- To enqueue. What else refuses jobs, or answers in their names, is called by these.
      ('EXECUTE', 'producer worker operator', 'enqueue enqueue_many enqueue_unique enqueue_workflow reserve_id payload_key
         check_options wait_for_space'),
      ('SELECT', 'producer worker operator', 'new_job'),
      ('INSERT', 'producer worker operator', 'new_job'),
      -- To see whether a queue is there.
      ('SELECT (id, name, max_attempts, max_payload_bytes, fresh_slot, max_jobs)', 'producer worker', 'queue'),
      -- To serve a queue.
      ('EXECUTE', 'worker', 'start_worker attach_session heartbeat fall_asleep stay_awake lost disown stop_worker timeouts queue_id
         claim claim_queues claim_where complete complete_in complete_leases cancel_in fail forget holds release
         parent_results note_progress report_progress write_logs report_stats
         await_signal begin_sleep get_steps keep_step
         declare_schedule due_schedules fire_schedule schedule_failed
         elect_keeper keeper_vacant keep resign_keeper rotate'),
      ('EXECUTE', 'worker operator', 'create_queue add_to_workflow workflow_end send_signal wait_for'),
      ('SELECT (id, worker_id, ended_at)', 'worker', 'jobs'),
      -- To look.
      ('EXECUTE', 'worker viewer operator', 'check_filter get_progress state'),
      ('EXECUTE', 'viewer operator', 'find why queue_settings kind_settings workflow_nodes doctor doctor_checks doctor_limits
         search suggest check_search operation_search error_groups fingerprint failures_of_group family depths tail pace
         stats minutes rates percentile jobs_of'),
      -- What the views call: who reads a view must be allowed to.
      ('EXECUTE', 'worker viewer operator', 'waits_as waits_because'),
      ('EXECUTE', 'viewer operator', 'find_job retentions states_of'),
      ('SELECT', 'viewer operator', 'jobs queues failures firings limits logs retention schedules signals steps workers workflow_jobs workflows
         archive config kind queue schedule workflow health audit operation'),
      ('SELECT', 'producer worker viewer operator', 'migration code access'),
      -- To operate.
      ('EXECUTE', 'operator', 'cancel cancel_many retry retry_many retry_from forget_steps purge purge_dead remove_held
         isolate crowded find_for_update delete reschedule change add_dependency remove_dependency unhold
         cancel_workflow retry_workflow withdraw_signal delete_queue pause_queue resume_queue set_queue set_kind set_limit set_config tell_worker
         set_schedule delete_schedule pause_schedule resume_schedule run_schedule start_operation step_operation cancel_operation act note_command'),
      -- For the owner: what makes indexes and roles, or is a chore that howdah.keep calls.
      ('EXECUTE', '', 'create_roles grant_rights index_attributes expire promote prune rescue open_gates look_again')
    ) g(privilege, roles, objects), regexp_split_to_table(g.objects, '\s+') o(object)
$$;
