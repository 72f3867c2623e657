//! A table without lines, so that `cut`, `awk` and `grep` like it too.

use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, presets};
use dynomesh_proto::v1::DynoState;

use super::plain;

/// Rows below a heading. No cell is cut or wrapped.
pub(crate) struct Table(comfy_table::Table);

impl Table {
    /// Headings that start with `>` stand over figures.
    pub(crate) fn new(headings: &[&str], colour: bool) -> Self {
        let mut table = comfy_table::Table::new();
        table
            .load_preset(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled)
            .set_header(headings.iter().map(|heading| head(heading)));
        if colour {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        for (column, heading) in table.column_iter_mut().zip(headings) {
            column.set_padding((0, 2));
            if heading.starts_with('>') {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        Self(table)
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.0.add_row(cells);
    }

    pub(crate) fn render(&self) -> String {
        self.0.trim_fmt()
    }
}

fn head(heading: &str) -> Cell {
    Cell::new(heading.trim_start_matches('>')).add_attribute(Attribute::Bold)
}

/// A cell with text from wherever.
pub(crate) fn cell(text: impl AsRef<str>) -> Cell {
    Cell::new(plain(text.as_ref()))
}

/// A dyno's state, to be seen from afar.
pub(super) fn state_cell(state: DynoState, quarantined: bool) -> Cell {
    let colour = match state {
        _ if quarantined => Some(Color::Red),
        DynoState::Up => Some(Color::Green),
        DynoState::Starting | DynoState::Draining => Some(Color::Yellow),
        DynoState::Crashed => Some(Color::Red),
        DynoState::Down | DynoState::Unspecified => None,
    };
    let cell = cell(state_name(state));
    match colour {
        Some(colour) => cell.fg(colour),
        None => cell,
    }
}

/// The word for a state that `meshctl dyno state` takes.
pub(crate) fn state_name(state: DynoState) -> &'static str {
    match state {
        DynoState::Unspecified => "unknown",
        DynoState::Starting => "starting",
        DynoState::Up => "up",
        DynoState::Draining => "draining",
        DynoState::Down => "down",
        DynoState::Crashed => "crashed",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(colour: bool) -> String {
        let mut table = Table::new(&["NAME", ">LOAD", "STATE"], colour);
        table.row([cell("web.1"), cell("3"), state_cell(DynoState::Up, false)]);
        table.row([
            cell("web.10"),
            cell("12"),
            state_cell(DynoState::Down, false),
        ]);
        table.render()
    }

    #[test]
    fn columns_are_aligned_and_nothing_trails() {
        let want = "\
NAME    LOAD  STATE
web.1      3  up
web.10    12  down";
        assert_eq!(table(false), want);
    }

    #[test]
    fn colours_only_when_asked_for() {
        assert!(table(true).contains('\u{1b}'));
        assert!(!table(false).contains('\u{1b}'));
    }
}
