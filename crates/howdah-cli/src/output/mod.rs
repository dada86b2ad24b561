//! What goes to standard output: tables for a person, tab-separated lines for a pipe, JSON for a program.
//!
//! Invariant: a value reaches a terminal without control characters, and JSON leaves as the server wrote it.
//! Limit: rows are held in memory; lists are limited by their commands.

mod cell;

use std::io::{self, IsTerminal, Write};

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use serde_json::{Map, Value};

pub(crate) use cell::printable;

/// Below this many columns, lines run over the edge rather than being broken.
const NARROW: u16 = 60;

/// One row, by the names of the SQL view.
pub(crate) type Row = Map<String, Value>;

/// How the values of a column are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it is.
    Text,
    /// To the right.
    Number,
    /// As a distance from now, on a terminal.
    Time,
}

/// A column of a table, named as in the SQL view.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column(pub(crate) &'static str, pub(crate) Show);

/// Where and how to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    terminal: bool,
}

impl Output {
    /// To standard output.
    pub(crate) fn new(json: bool) -> Self {
        Self { json, terminal: io::stdout().is_terminal() }
    }

    /// Whether JSON was asked for.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether a person reads it, and as tables.
    pub(crate) fn is_terminal(self) -> bool {
        self.terminal && !self.json
    }

    /// One line of text.
    pub(crate) fn line(self, text: impl std::fmt::Display) -> io::Result<()> {
        writeln!(io::stdout().lock(), "{text}")
    }

    /// One JSON value on a line.
    pub(crate) fn value(self, value: &Value) -> io::Result<()> {
        self.line(value)
    }

    /// The one thing that was asked for, as text or as JSON.
    pub(crate) fn answer(self, json: &Value, text: impl std::fmt::Display) -> io::Result<()> {
        if self.json { self.value(json) } else { self.line(text) }
    }

    /// Rows: the texts of JSON objects.
    pub(crate) fn rows(self, columns: &[Column], rows: &[String]) -> io::Result<()> {
        if self.json {
            return self.line(format_args!("[{}]", rows.join(",\n ")));
        }
        let rows: Vec<Row> = rows.iter().map(|text| parsed(text)).collect::<io::Result<_>>()?;
        if self.terminal { self.table(columns, &rows) } else { self.tabbed(columns, &rows) }
    }

    /// Tab-separated, without a header, as other programs read it.
    fn tabbed(self, columns: &[Column], rows: &[Row]) -> io::Result<()> {
        let mut out = io::BufWriter::new(io::stdout().lock());
        for row in rows {
            let cells: Vec<String> = columns.iter().map(|c| cell::plain(row.get(c.0))).collect();
            writeln!(out, "{}", cells.join("\t"))?;
        }
        out.flush()
    }

    fn table(self, columns: &[Column], rows: &[Row]) -> io::Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // Some terminals say that they are no wider than nothing.
        if table.width().is_some_and(|width| width >= NARROW) {
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        table.set_header(columns.iter().map(|c| c.0.to_uppercase()));
        for row in rows {
            table.add_row(columns.iter().map(|c| cell::shown(*c, row.get(c.0))));
        }
        for (column, of) in table.column_iter_mut().zip(columns) {
            if of.1 == Show::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        self.line(table.trim_fmt())
    }

    /// One row, a line for each of its columns that has a value.
    pub(crate) fn fields(self, columns: &[Column], row: &Row) -> io::Result<()> {
        let width = columns.iter().map(|c| c.0.len()).max().unwrap_or(0);
        for column in columns {
            let value = row.get(column.0).filter(|v| !v.is_null());
            match (value, self.terminal) {
                (None, _) => {}
                (Some(v), true) => self.line(format_args!("{:width$}  {}", column.0, cell::shown(*column, Some(v))))?,
                (Some(v), false) => self.line(format_args!("{}\t{}", column.0, cell::plain(Some(v))))?,
            }
        }
        Ok(())
    }

    /// A heading between two tables of a person.
    pub(crate) fn heading(self, text: &str) -> io::Result<()> {
        if self.terminal && !self.json { self.line(format_args!("\n{text}")) } else { Ok(()) }
    }

    /// What there is to say to a person who looks at nothing.
    pub(crate) fn nothing(self, text: &str) {
        if self.terminal && !self.json {
            eprintln!("{text}");
        }
    }
}

/// Reads a row that the server wrote.
pub(crate) fn parsed(text: &str) -> io::Result<Row> {
    serde_json::from_str(text).map_err(io::Error::other)
}
