-- howdah.who_acts(told) -> text
-- Who does something: who it is told to be, else whom the setting howdah.made_by of the transaction names, else the user of the
-- session. Internal. Errors: none.
CREATE OR REPLACE FUNCTION howdah.who_acts(told text) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp
RETURN left(coalesce(who_acts.told, nullif(current_setting('howdah.made_by', true), ''), session_user::text), 256);
