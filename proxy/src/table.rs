//! Tables as the command line prints them.

use comfy_table::{Cell, CellAlignment, Table, presets};

/// A plain table: the first column to the left, numbers to the right.
pub fn table(header: Vec<&str>, rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    let cells = |texts: Vec<String>| {
        texts.into_iter().enumerate().map(|(column, text)| {
            let alignment = if column == 0 {
                CellAlignment::Left
            } else {
                CellAlignment::Right
            };
            Cell::new(text).set_alignment(alignment)
        })
    };
    table.load_style(presets::NOTHING);
    table.set_header(cells(header.into_iter().map(str::to_owned).collect()).collect::<Vec<_>>());
    for row in rows {
        table.add_row(cells(row).collect::<Vec<_>>());
    }
    table
}
