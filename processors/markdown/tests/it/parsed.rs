//! Pages as GitHub reads them.

use std::collections::BTreeSet;

use comrak::nodes::{AstNode, NodeValue};
use comrak::{Arena, Options, parse_document};

/// What a page is made of.
#[derive(Debug, Default)]
pub struct Parsed {
    /// The kinds of everything in it.
    pub kinds: BTreeSet<&'static str>,
    /// Its text outside of code, piece by piece.
    pub texts: Vec<String>,
    /// Its code spans.
    pub codes: Vec<String>,
    /// Its HTML, block by block.
    pub html: Vec<String>,
    /// Rows of its tables, without headers, each with the number of its cells.
    pub rows: Vec<usize>,
}

impl Parsed {
    /// `page`, with all extensions of GitHub.
    pub fn read(page: &str) -> Self {
        let mut options = Options::default();
        options.extension.table = true;
        options.extension.strikethrough = true;
        options.extension.autolink = true;
        options.extension.tasklist = true;
        options.extension.footnotes = true;
        options.extension.alerts = true;
        options.extension.math_dollars = true;
        options.extension.math_code = true;
        let arena = Arena::new();
        let root = parse_document(&arena, page, &options);
        let mut parsed = Parsed::default();
        for node in root.descendants() {
            parsed.take(node);
        }
        parsed
    }

    fn take<'a>(&mut self, node: &'a AstNode<'a>) {
        let kind = match &node.data.borrow().value {
            NodeValue::Document => "document",
            NodeValue::Heading(_) => "heading",
            NodeValue::Paragraph => "paragraph",
            NodeValue::Strong => "strong",
            NodeValue::Table(_) => "table",
            NodeValue::TableCell => "cell",
            NodeValue::TableRow(is_header) => {
                if !is_header {
                    let empty = |cell: &&AstNode<'_>| cell.first_child().is_none();
                    let cells: Vec<_> = node.children().collect();
                    // Cells that a row lacks are added, empty.
                    let missing = cells.iter().rev().take_while(|cell| empty(cell)).count();
                    self.rows.push(cells.len() - missing);
                }
                "row"
            }
            NodeValue::Text(text) => {
                self.texts.push(text.to_string());
                "text"
            }
            NodeValue::Code(code) => {
                self.codes.push(code.literal.clone());
                "code"
            }
            NodeValue::HtmlBlock(html) => {
                self.html.push(html.literal.trim_end().to_owned());
                "html"
            }
            NodeValue::SoftBreak => "break",
            other => panic!("{other:?} comes from data"),
        };
        self.kinds.insert(kind);
    }
}
