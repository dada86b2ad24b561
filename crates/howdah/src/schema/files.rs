//! The files of `sql/`, embedded, and the one script that they make.
//!
//! Invariant: the script is valid SQL for `psql`, and is what [`migrate`](super::migrate) runs. Limit: none of
//! the files may need anything between the others but their order (migrations, functions, views, by name).

use super::Schema;

include!(concat!(env!("OUT_DIR"), "/sql_files.rs"));

/// One versioned step, applied once.
pub(super) struct Migration {
    pub(super) version: i32,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// Every step in order. File names are `0001_name.sql`.
pub(super) fn migrations() -> impl Iterator<Item = Migration> {
    MIGRATIONS.iter().filter_map(|(file, sql)| {
        let (version, name) = file.split_once('_')?;
        Some(Migration { version: version.parse().ok()?, name, sql })
    })
}

/// Functions and views: replaced as a whole whenever they differ.
pub(super) fn code() -> String {
    let mut sql = String::from("SET LOCAL check_function_bodies = off;\n");
    for (_, text) in FUNCTIONS.iter().chain(VIEWS) {
        sql.push_str(text);
    }
    // What is new has no rights yet, and what was replaced has lost that it runs as the owner.
    sql.push_str("DO $do$ BEGIN PERFORM howdah.grant_rights(); END $do$;\n");
    sql
}

/// One function, as it is installed.
#[cfg(feature = "testing")]
pub(crate) fn function(name: &str) -> &'static str {
    FUNCTIONS.iter().find(|(file, _)| *file == name).map_or("", |(_, sql)| sql)
}

/// A fingerprint of [`code`]: FNV-1a, since nobody attacks it.
pub(super) fn code_hash() -> String {
    let hash = code().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    format!("{hash:016x}")
}

/// A fresh installation as one script.
pub(super) fn script(schema: &Schema) -> String {
    let mut sql = String::from(
        "-- A fresh installation of howdah, made of the files in sql/ by `howdah migrate sql`. Run it once, with psql.\n\
         BEGIN;\nCREATE SCHEMA howdah.;\n",
    )
    .replace("howdah.;", &format!("{};", schema.name()));
    for step in migrations() {
        sql.push_str(&schema.text(step.sql));
        sql.push_str(&schema.text(&format!(
            "INSERT INTO howdah.migration (version, name) VALUES ({}, '{}');\n",
            step.version, step.name
        )));
    }
    sql.push_str(&schema.text(&code()));
    sql.push_str(&schema.text(&format!(
        "INSERT INTO howdah.code (hash, release) VALUES ('{}', '{}');\nCOMMIT;\n",
        code_hash(),
        env!("CARGO_PKG_VERSION")
    )));
    sql
}
