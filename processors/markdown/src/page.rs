//! A text that has an end.

/// A text that grows no longer than it may.
pub(crate) struct Page {
    text: String,
    max_bytes: usize,
}

impl Page {
    /// Bytes that are always kept for [`Page::close`].
    const RESERVE: usize = 256;

    /// An empty page of at most `max_bytes`.
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            text: String::new(),
            max_bytes,
        }
    }

    /// Adds `line` and a line break, if they fit.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        let fits = self.text.len() + line.len() + 1 + Self::RESERVE <= self.max_bytes;
        if fits {
            self.text.push_str(line);
            self.text.push('\n');
        }
        fits
    }

    /// Adds a paragraph, if it fits.
    pub(crate) fn paragraph(&mut self, text: &str) -> bool {
        self.line(&format!("{text}\n"))
    }

    /// Adds a paragraph of our own words that ends something, into the room kept for it.
    pub(crate) fn close(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push_str("\n\n");
    }

    /// The text, with one line break at its end.
    pub(crate) fn finish(self) -> String {
        let mut text = self.text.trim_end().to_owned();
        text.push('\n');
        text
    }

    /// Adds a table of `rows` with `columns`; of those that do not fit, or exceed `most`, it
    /// says that there are so many more of `what`. Nothing if there are no rows.
    pub(crate) fn table(
        &mut self,
        what: &str,
        columns: &[&str],
        rows: impl ExactSizeIterator<Item = Vec<String>>,
        most: usize,
    ) {
        let mut left = rows.len();
        if left == 0 {
            return;
        }
        let rule = vec!["---"; columns.len()].join(" | ");
        if self.line(&format!("| {} |\n| {rule} |", columns.join(" | "))) {
            for row in rows.take(most) {
                if !self.line(&format!("| {} |", row.join(" | "))) {
                    break;
                }
                left -= 1;
            }
            self.text.push('\n');
        }
        if left > 0 {
            self.close(format!("+{left} more {what}").trim_end());
        }
    }

    /// Adds what `content` adds, to be unfolded by the reader, under `title`, which is not
    /// from data. Nothing if the title does not fit.
    pub(crate) fn folded(&mut self, title: &str, content: impl FnOnce(&mut Self)) {
        if self.line(&format!("<details>\n<summary>{title}</summary>\n")) {
            content(self);
            self.close("</details>");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(max_bytes: usize, rows: usize) -> String {
        let mut page = Page::new(max_bytes);
        let cells = (0..rows).map(|number| vec![number.to_string(), "x".repeat(50)]);
        page.folded("rest", |page| page.table("", &["a", "b"], cells, 1_000));
        page.finish()
    }

    #[test]
    fn a_page_ends_before_its_end() {
        for max_bytes in [300, 400, 1_000, 10_000] {
            let text = filled(max_bytes, 500);
            assert!(text.len() <= max_bytes, "{} of {max_bytes}", text.len());
            let shown = text.matches("xxx |").count();
            let more = format!("+{} more", 500 - shown);
            assert!(text.contains(&more) || shown == 0, "{text}");
        }
        assert!(!filled(100_000, 500).contains("more"));
        assert!(filled(100_000, 1_001).contains("+1 more"));
    }
}
