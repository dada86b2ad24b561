//! Which of the queue's functions or views a statement uses.
//!
//! Invariant: the names are those of the files of `sql/`. Limit: the first one that is named
//! counts, but for the clock.

use super::files::{FUNCTIONS, VIEWS};

/// Functions of times, which a statement uses beside what it does.
const CLOCK: [&str; 3] = ["now", "micros", "at_micros"];

/// The name of the operation that a statement is, in any schema.
pub(crate) fn operation(sql: &str) -> &'static str {
    sql.match_indices('.').find_map(|(dot, _)| named(&sql[dot + 1..])).unwrap_or("sql")
}

fn named(text: &str) -> Option<&'static str> {
    let end = text.find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let known = if rest.starts_with('(') { FUNCTIONS } else { VIEWS };
    known.iter().find(|(known, _)| *known == name && !CLOCK.contains(&name)).map(|(known, _)| *known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_known_by_the_first_function_or_view_that_it_names() {
        assert_eq!(operation("SELECT lease_id, id, howdah.now() FROM howdah.claim($1, $2)"), "claim");
        assert_eq!(operation("SELECT alive, howdah.micros(howdah.now()) FROM howdah.heartbeat($1)"), "heartbeat");
        assert_eq!(operation("SELECT id FROM jobs_eu.jobs WHERE x.state = $1"), "jobs");
        assert_eq!(operation("SELECT id FROM howdah.queue WHERE name OPERATOR(pg_catalog.=) $1"), "sql");
    }
}
