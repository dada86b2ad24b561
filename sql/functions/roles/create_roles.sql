-- howdah.create_roles(prefix) -> setof text
-- Divides what may be done here among five roles that cannot log in, to be given to those that can (GRANT howdah_worker TO app):
-- PREFIX_producer, _worker, _viewer, _operator, as howdah.rights says, and PREFIX_owner, who owns the schema from then on, and
-- may do everything. Returns their names. Again: mends what was changed by hand.
--   prefix  NULL: the name of the schema. Roles are of the whole cluster: where several of its databases have queues, and their
--           people are not the same, give each its own
-- Whoever migrates from then on must be of PREFIX_owner, as the caller is made if it may create roles, or a superuser.
-- Writes: access and the catalog. Locks: access exclusive on every table for a moment; gives up (55P03) when it would have
-- to wait longer than three seconds, and has done nothing then.
-- Errors: HD002 the prefix is too long, is not that of the roles that are there, or a role of that name can log in; 42501 the caller may
-- not create roles and some are missing (HINT: what to ask for), or is not the owner of the schema.
CREATE OR REPLACE FUNCTION howdah.create_roles(prefix text DEFAULT NULL) RETURNS SETOF text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  v_had    text := (SELECT a.prefix FROM howdah.access a);
  v_prefix text := coalesce(create_roles.prefix, v_had, rtrim('howdah.', '.'));
  v_owner  text := v_prefix || '_owner';
  v_names  text[] := ARRAY(SELECT v_prefix || '_' || r FROM unnest('{owner,producer,worker,viewer,operator}'::text[]) r);
  v_make   text[] := ARRAY(SELECT format('CREATE ROLE %I NOLOGIN', n) FROM unnest(v_names) n WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = n));
  v_login  text := (SELECT min(r.rolname::text) FROM pg_roles r WHERE r.rolname = ANY (v_names) AND r.rolcanlogin);
  v_line   text;
BEGIN
  IF octet_length(v_prefix) NOT BETWEEN 1 AND 54 OR v_prefix ~ '[[:cntrl:]]' THEN
    PERFORM howdah.option_refused('prefix', 'must be 1 to 54 bytes without control characters');
  ELSIF v_had <> v_prefix THEN
    PERFORM howdah.option_refused('prefix', format('must be %s: this schema has its roles already', quote_literal(v_had)));
  ELSIF v_login IS NOT NULL THEN
    PERFORM howdah.option_refused('prefix', format('the role %I exists and can log in: choose another prefix', v_login));
  END IF;
  IF v_make <> '{}' AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = current_user AND (r.rolsuper OR r.rolcreaterole)) THEN
    RAISE EXCEPTION '% may not create roles, and % of them are missing', current_user, cardinality(v_make) USING ERRCODE = '42501',
      HINT = format('Let somebody who may run: %s; GRANT %I TO %I; and then call this again.', array_to_string(v_make, '; '), v_owner, current_user);
  END IF;
  FOREACH v_line IN ARRAY v_make LOOP
    EXECUTE v_line;
  END LOOP;
  IF NOT pg_has_role(v_owner, 'USAGE') THEN
    EXECUTE format('GRANT %I TO %I', v_owner, current_user);
  END IF;
  INSERT INTO howdah.access (prefix) VALUES (v_prefix) ON CONFLICT DO NOTHING;
  PERFORM howdah.grant_rights();
  RETURN QUERY SELECT unnest(v_names);
END $$;
