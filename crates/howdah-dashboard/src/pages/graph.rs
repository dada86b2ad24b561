//! A workflow as a drawing: columns of jobs, each to the right of what it waits for.
//!
//! Invariant: the same jobs give the same drawing; circles, which the database refuses, do not hang it. Limit: 300 jobs; crossings are
//! made fewer, not fewest.

use std::collections::HashMap;

use maud::{Markup, html};

use crate::html::text::plain;
use crate::read::workflows::Node;
use crate::view::View;

/// So many jobs are drawn; a table shows more.
pub(super) const MOST: usize = 300;
/// Of a job, in pixels.
const WIDTH: usize = 190;
const HEIGHT: usize = 44;
/// Between columns and rows.
const GAP_X: usize = 60;
const GAP_Y: usize = 14;
/// So many letters of a name fit.
const LETTERS: usize = 22;

/// Where a job is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    column: usize,
    row: usize,
}

impl Place {
    fn x(self) -> usize {
        4 + self.column * (WIDTH + GAP_X)
    }

    fn y(self) -> usize {
        4 + self.row * (HEIGHT + GAP_Y)
    }
}

/// The drawing.
pub(super) fn draw(view: &View, nodes: &[Node]) -> Markup {
    let edges = edges(nodes);
    let places = places(nodes.len(), &edges);
    let width = places.iter().map(|place| place.x() + WIDTH + 4).max().unwrap_or(0);
    let height = places.iter().map(|place| place.y() + HEIGHT + 4).max().unwrap_or(0);
    html! {
        div.wide role="region" aria-label="Graph" tabindex="0" {
            svg.graph width=(width) height=(height) viewBox={ "0 0 " (width) " " (height) } role="group" aria-label="What waits for what; the table below says the same" {
                @for (parent, child) in &edges { path.edge d=(line(places[*parent], places[*child])) {} }
                @for (node, place) in nodes.iter().zip(&places) { (job(view, node, *place)) }
            }
        }
    }
}

fn job(view: &View, node: &Node, place: Place) -> Markup {
    let state = node.state.as_deref().unwrap_or("not kept");
    html! {
        a href=(view.to(&format!("/jobs/{}", node.job))) {
            title { (plain(&node.name, 200)) ": " (state) }
            rect.node.(class(state)) x=(place.x()) y=(place.y()) width=(WIDTH) height=(HEIGHT) rx="4" {}
            text x=(place.x() + 10) y=(place.y() + 18) unicode-bidi="isolate" { (plain(&node.name, LETTERS)) }
            text.dim x=(place.x() + 10) y=(place.y() + 35) { (state) }
        }
    }
}

/// The colour of a state, which is told in words as well.
fn class(state: &str) -> &'static str {
    match state {
        "running" => "run",
        "completed" => "good",
        "dead" | "expired" => "bad",
        "cancelled" => "dim",
        _ => "wait",
    }
}

/// From the right of a parent to the left of its child.
fn line(parent: Place, child: Place) -> String {
    let (x1, y1) = (parent.x() + WIDTH, parent.y() + HEIGHT / 2);
    let (x2, y2) = (child.x(), child.y() + HEIGHT / 2);
    format!("M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}", x1 + GAP_X / 2, x2.saturating_sub(GAP_X / 2))
}

/// Who waits for whom, as places in the list; what is outside is left out.
fn edges(nodes: &[Node]) -> Vec<(usize, usize)> {
    let by_name: HashMap<&str, usize> = nodes.iter().enumerate().map(|(n, node)| (node.name.as_str(), n)).collect();
    let of = |(child, node): (usize, &Node)| -> Vec<(usize, usize)> {
        node.depends_on.iter().filter_map(|name| by_name.get(name.as_str())).map(|parent| (*parent, child)).collect()
    };
    nodes.iter().enumerate().flat_map(of).filter(|(parent, child)| parent != child).collect()
}

/// Columns by the longest way from a beginning; rows by the middle of the parents' rows.
fn places(nodes: usize, edges: &[(usize, usize)]) -> Vec<Place> {
    let columns = columns(nodes, edges);
    let mut parents = vec![Vec::new(); nodes];
    for (parent, child) in edges {
        parents[*child].push(*parent);
    }
    let mut places = vec![Place { column: 0, row: 0 }; nodes];
    for column in 0..=columns.iter().copied().max().unwrap_or(0) {
        let mut here: Vec<usize> = (0..nodes).filter(|node| columns[*node] == column).collect();
        let middle = |node: &usize| {
            let rows =
                parents[*node].iter().filter(|parent| columns[**parent] < column).map(|parent| places[*parent].row);
            let (sum, count) = rows.fold((0, 0), |(sum, count), row| (sum + row, count + 1));
            // In tenths of a row, so that it is a whole number.
            (sum * 10).checked_div(count).unwrap_or(usize::MAX)
        };
        here.sort_by_key(|node| (middle(node), *node));
        for (row, node) in here.into_iter().enumerate() {
            places[node] = Place { column, row };
        }
    }
    places
}

/// The longest way to each; what is in a circle stays at the left.
fn columns(nodes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let (mut columns, mut open, mut children) = (vec![0; nodes], vec![0_usize; nodes], vec![Vec::new(); nodes]);
    for (parent, child) in edges {
        open[*child] += 1;
        children[*parent].push(*child);
    }
    let mut next: Vec<usize> = (0..nodes).filter(|node| open[*node] == 0).collect();
    while let Some(node) = next.pop() {
        for child in &children[node] {
            columns[*child] = columns[*child].max(columns[node] + 1);
            open[*child] -= 1;
            if open[*child] == 0 {
                next.push(*child);
            }
        }
    }
    columns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(nodes: usize, edges: &[(usize, usize)]) -> Vec<(usize, usize)> {
        places(nodes, edges).into_iter().map(|place| (place.column, place.row)).collect()
    }

    #[test]
    fn each_job_is_to_the_right_of_all_that_it_waits_for() {
        // 0 -> 1 -> 3, 0 -> 3, 2 alone
        assert_eq!(drawn(4, &[(0, 1), (1, 3), (0, 3)]), [(0, 0), (1, 0), (0, 1), (2, 0)]);
        assert!(drawn(0, &[]).is_empty());
    }

    #[test]
    fn children_are_in_the_order_of_their_parents() {
        // Two parents, whose children are numbered crosswise.
        assert_eq!(drawn(4, &[(0, 3), (1, 2)]), [(0, 0), (0, 1), (1, 1), (1, 0)]);
    }

    #[test]
    fn a_circle_ends() {
        assert_eq!(drawn(3, &[(0, 1), (1, 0), (1, 2)]).len(), 3);
    }
}
