//! Cells in aligned columns.

use unicode_width::UnicodeWidthStr;

use crate::fit::fit;
use crate::line::{Line, Tone};

/// No column of text is cut below this, however narrow the terminal.
const NARROWEST: usize = 8;

/// One cell: what it says, how, and on which side of its column it stands.
#[derive(Debug, Clone)]
pub(crate) struct Cell {
    tone: Tone,
    text: String,
    right: bool,
}

impl Cell {
    /// Text, standing left.
    pub(crate) fn text(tone: Tone, text: &str) -> Self {
        Self {
            tone,
            text: fit(text, None),
            right: false,
        }
    }

    /// A number, standing right.
    pub(crate) fn number(text: &str) -> Self {
        Self {
            tone: Tone::Plain,
            text: fit(text, None),
            right: true,
        }
    }
}

/// The lines of a table, indented by two. Where they are wider than `width`, the widest
/// columns are cut until they fit.
pub(crate) fn table(rows: Vec<Vec<Cell>>, width: Option<usize>) -> Vec<Line> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let mut widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.text.width()).max().unwrap_or(0)
        })
        .collect();
    if let Some(width) = width {
        shrink(&mut widths, width);
    }
    rows.into_iter().map(|row| align(row, &widths)).collect()
}

fn shrink(widths: &mut [usize], width: usize) {
    loop {
        let taken: usize = widths
            .iter()
            .filter(|width| **width > 0)
            .map(|width| width + 2)
            .sum();
        let widest = widths.iter_mut().max();
        match widest {
            Some(widest) if taken > width && *widest > NARROWEST => *widest -= 1,
            _ => return,
        }
    }
}

fn align(row: Vec<Cell>, widths: &[usize]) -> Line {
    let mut line = Line::new();
    let mut start = 2;
    for (cell, &width) in row.into_iter().zip(widths) {
        if width == 0 {
            continue;
        }
        let text = fit(&cell.text, Some(width));
        let offset = if cell.right {
            width.saturating_sub(text.width())
        } else {
            0
        };
        let gap = (start + offset).saturating_sub(line.width());
        line = line.space(gap).add(cell.tone, &text);
        start += width + 2;
    }
    line
}
