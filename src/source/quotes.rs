//! Where the records of a CSV file begin, judged by its quotes alone, at memory speed.
//!
//! A CSV parser takes a quote that is never closed for the beginning of a very long field: the
//! rest of the file, or all up to the next quote, silently becomes one value. What is watched here
//! turns both into an error, and tells where a file can be cut between two records.

use std::io::{self, Read};

use memchr::{memchr, memchr2, memrchr};

/// The characters that matter for where a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Marks {
    pub quote: u8,
    pub delimiter: u8,
    pub escape: Option<u8>,
    pub comment: Option<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Unquoted,
    Quoted,
    /// After an escape in a quoted field.
    Escaped,
    /// After a quote in a quoted field: its end, or half of a doubled quote.
    Ending,
}

/// Something wrong with the quotes of a file; the offset is that of the opening quote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    /// A quoted field is open where the file ends.
    Unclosed(u64),
    /// A quoted field holds line breaks and text follows its closing quote: most likely its own
    /// closing quote is missing, and the one found opens a later field.
    Swallowed(u64),
    /// A quoted field holds a line break where none may be.
    Broken(u64),
}

impl Problem {
    /// Where the field in question begins, in bytes from where watching began.
    pub(super) fn offset(self) -> u64 {
        match self {
            Problem::Unclosed(at) | Problem::Swallowed(at) | Problem::Broken(at) => at,
        }
    }
}

/// What the quotes of a file have been so far.
#[derive(Debug, Clone)]
pub(super) struct Quotes {
    marks: Marks,
    /// Whether a quoted field may hold line breaks.
    newlines: bool,
    state: State,
    /// The byte before the next one.
    previous: u8,
    /// The first byte of the current line, for comments.
    line: Option<u8>,
    /// Bytes seen.
    seen: u64,
    opened: u64,
    spans: bool,
    problem: Option<Problem>,
}

impl Quotes {
    /// Begins at the start of a record.
    pub(super) fn new(marks: Marks, newlines: bool) -> Self {
        Self {
            marks,
            newlines,
            state: State::Unquoted,
            previous: b'\n',
            line: None,
            seen: 0,
            opened: 0,
            spans: false,
            problem: None,
        }
    }

    /// Whether the next byte is outside of quotes.
    pub(super) fn outside(&self) -> bool {
        matches!(self.state, State::Unquoted | State::Ending)
    }

    /// What is wrong so far.
    pub(super) fn problem(&self) -> Option<Problem> {
        self.problem
    }

    /// What is wrong, given that the file ends here.
    pub(super) fn finish(&mut self) -> Option<Problem> {
        if matches!(self.state, State::Quoted | State::Escaped) {
            self.problem.get_or_insert(Problem::Unclosed(self.opened));
        }
        self.problem
    }

    /// Looks at the next bytes of the file.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        if self.marks.escape.is_some() {
            self.feed_escaped(bytes);
        } else {
            self.feed_plain(bytes);
        }
        if let Some(last) = bytes.last() {
            self.previous = *last;
            if self.marks.comment.is_some() {
                self.line = first_of_line(bytes, bytes.len(), self.line);
            }
        }
        self.seen += bytes.len() as u64;
    }

    /// Goes from quote to quote, which is all that matters without an escape.
    fn feed_plain(&mut self, bytes: &[u8]) {
        let mut quotes = Positions::new(self.marks.quote, bytes);
        if self.state == State::Ending && !bytes.is_empty() && self.ending(bytes, 0) > 0 {
            quotes.next();
        }
        // Where the part of the quoted field begins that is in these bytes.
        let mut field = 0;
        while let Some(at) = quotes.next() {
            if self.state == State::Unquoted {
                self.open(bytes, at);
                field = at + 1;
                continue;
            }
            let next = bytes.get(at + 1).copied();
            if next == Some(self.marks.quote) {
                quotes.next();
                continue;
            }
            let ends = next.is_some_and(|next| self.may_follow(next));
            if !ends || !self.newlines {
                self.look_for_breaks(&bytes[field..at]);
            }
            self.state = State::Ending;
            if next.is_some() {
                self.ending(bytes, at + 1);
            }
        }
        if self.state == State::Quoted {
            self.look_for_breaks(&bytes[field..]);
        }
    }

    fn feed_escaped(&mut self, bytes: &[u8]) {
        let mut at = 0;
        while at < bytes.len() {
            at = match self.state {
                State::Unquoted => self.unquoted(bytes, at),
                State::Quoted => self.quoted(bytes, at),
                State::Escaped => {
                    self.look_for_breaks(&bytes[at..=at]);
                    self.state = State::Quoted;
                    at + 1
                }
                State::Ending => self.ending(bytes, at),
            };
        }
    }

    fn unquoted(&mut self, bytes: &[u8], from: usize) -> usize {
        let Some(found) = memchr(self.marks.quote, &bytes[from..]) else {
            return bytes.len();
        };
        self.open(bytes, from + found);
        from + found + 1
    }

    /// Opens a quoted field at the quote at `at`, if that begins one.
    fn open(&mut self, bytes: &[u8], at: usize) {
        let before = if at == 0 {
            self.previous
        } else {
            bytes[at - 1]
        };
        // Elsewhere in an unquoted field a quote is a character like any other.
        if self.may_follow(before) && !self.in_comment(bytes, at) {
            self.state = State::Quoted;
            self.opened = self.seen + at as u64;
            self.spans = false;
        }
    }

    /// Whether `byte` can stand beside a quoted field.
    fn may_follow(&self, byte: u8) -> bool {
        byte == self.marks.delimiter || is_break(byte)
    }

    /// Notes whether `part` of a quoted field has a line break.
    fn look_for_breaks(&mut self, part: &[u8]) {
        if !self.spans && memchr2(b'\n', b'\r', part).is_some() {
            self.spans = true;
            if !self.newlines {
                self.problem.get_or_insert(Problem::Broken(self.opened));
            }
        }
    }

    fn in_comment(&self, bytes: &[u8], at: usize) -> bool {
        self.marks.comment.is_some() && first_of_line(bytes, at, self.line) == self.marks.comment
    }

    fn quoted(&mut self, bytes: &[u8], from: usize) -> usize {
        let escape = self.marks.escape.unwrap_or(self.marks.quote);
        let found = memchr2(self.marks.quote, escape, &bytes[from..]);
        let at = found.map_or(bytes.len(), |found| from + found);
        self.look_for_breaks(&bytes[from..at]);
        if at < bytes.len() {
            let quote = bytes[at] == self.marks.quote;
            self.state = if quote { State::Ending } else { State::Escaped };
        }
        at + 1
    }

    fn ending(&mut self, bytes: &[u8], at: usize) -> usize {
        let next = bytes[at];
        if next == self.marks.quote {
            self.state = State::Quoted;
            return at + 1;
        }
        if self.spans && !self.may_follow(next) {
            self.problem.get_or_insert(Problem::Swallowed(self.opened));
        }
        self.state = State::Unquoted;
        at
    }
}

/// Where a byte occurs, found eight bytes at a time.
///
/// Quotes often stand a few bytes apart, where starting `memchr` anew for each of them costs
/// more than the parsing does.
struct Positions<'a> {
    words: &'a [[u8; 8]],
    rest: &'a [u8],
    byte: u8,
    /// Where the words not looked at begin.
    next: usize,
    /// The highest bit of each byte that was found and not told; they begin at `start`.
    found: u64,
    start: usize,
}

impl<'a> Positions<'a> {
    fn new(byte: u8, bytes: &'a [u8]) -> Self {
        let (words, rest) = bytes.as_chunks::<8>();
        Self {
            words,
            rest,
            byte,
            next: 0,
            found: 0,
            start: 0,
        }
    }

    /// The highest bit of each byte of `word` that is the byte.
    fn matches(&self, word: [u8; 8]) -> u64 {
        const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        let zero_where_equal = u64::from_le_bytes(word) ^ u64::from_le_bytes([self.byte; 8]);
        !(((zero_where_equal & LOW) + LOW) | zero_where_equal | LOW)
    }
}

impl Iterator for Positions<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        while self.found == 0 {
            self.start = self.next;
            self.next += 8;
            if let Some((word, words)) = self.words.split_first() {
                self.words = words;
                self.found = self.matches(*word);
            } else if self.rest.is_empty() {
                return None;
            } else {
                // What is added must not be taken for the byte.
                let mut word = [!self.byte; 8];
                word[..self.rest.len()].copy_from_slice(self.rest);
                self.rest = &[];
                self.found = self.matches(word);
            }
        }
        let offset = self.found.trailing_zeros() as usize / 8;
        self.found &= self.found - 1;
        Some(self.start + offset)
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// The first byte of the line that `bytes[at]` is in; `before` is that of the line that was
/// current when `bytes` began.
fn first_of_line(bytes: &[u8], at: usize, before: Option<u8>) -> Option<u8> {
    match memrchr(b'\n', &bytes[..at]) {
        Some(end) => bytes.get(end + 1).copied(),
        None => before.or(bytes.first().copied()),
    }
}

/// Where the first record begins at or behind `position`, in a file that is read from `from`, the
/// beginning of a record. With `marks` the line breaks within quotes do not count.
pub(super) fn record_start(
    mut file: impl Read,
    from: u64,
    position: u64,
    marks: Option<Marks>,
) -> io::Result<u64> {
    let mut quotes = marks.map(|marks| Quotes::new(marks, true));
    let mut buffer = vec![0; 256 * 1024];
    let mut offset = from;
    loop {
        let count = file.read(&mut buffer)?;
        if count == 0 {
            return Ok(offset);
        }
        // A break right before `position` ends a record there.
        let skip = usize::try_from((position - 1).saturating_sub(offset)).unwrap_or(usize::MAX);
        let skip = skip.min(count);
        if let Some(quotes) = &mut quotes {
            quotes.feed(&buffer[..skip]);
        }
        for (index, byte) in buffer[skip..count].iter().enumerate() {
            let outside = quotes.as_ref().is_none_or(Quotes::outside);
            if let Some(quotes) = &mut quotes {
                quotes.feed(&[*byte]);
            }
            if *byte == b'\n' && outside {
                return Ok(offset + (skip + index) as u64 + 1);
            }
        }
        offset += count as u64;
    }
}

/// The line, counted from one, on which record number `record` (from one) begins.
///
/// Blank lines and comments are no records.
pub(super) fn line_of_record(
    text: impl Read,
    record: u64,
    marks: Marks,
) -> io::Result<Option<u64>> {
    let mut quotes = Quotes::new(marks, true);
    let (mut records, mut line) = (0, 1);
    let (mut at_start, mut in_comment) = (true, false);
    for byte in io::BufReader::with_capacity(256 * 1024, text).bytes() {
        let byte = byte?;
        let outside = quotes.outside();
        quotes.feed(&[byte]);
        if at_start && !is_break(byte) {
            at_start = false;
            in_comment = Some(byte) == marks.comment;
            records += u64::from(!in_comment);
            if records == record {
                return Ok(Some(line));
            }
        } else if is_break(byte) && (outside || in_comment) {
            at_start = true;
        }
        line += u64::from(byte == b'\n');
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARKS: Marks = Marks {
        quote: b'"',
        delimiter: b',',
        escape: None,
        comment: None,
    };
    const ESCAPED: Marks = Marks {
        escape: Some(b'\\'),
        comment: Some(b'#'),
        ..MARKS
    };

    fn problem(text: &str, marks: Marks, newlines: bool, chunk: usize) -> Option<Problem> {
        let mut quotes = Quotes::new(marks, newlines);
        for bytes in text.as_bytes().chunks(chunk) {
            quotes.feed(bytes);
        }
        quotes.finish()
    }

    #[test]
    fn wrong_quotes_are_found_however_the_file_is_cut() {
        use Problem::{Broken, Swallowed, Unclosed};
        for (label, text, marks, newlines, expected) in [
            ("no quotes", "a,b\n1,2\n", MARKS, true, None),
            ("quoted", "a,b\n\"1\",\"2\"\n", MARKS, true, None),
            ("quoted last, no newline", "a\n\"1\"", MARKS, true, None),
            ("doubled", "a,b\n\"1 \"\"x\"\"\",2\n", MARKS, true, None),
            ("empty quoted", "a,b\n\"\",\"\"\n", MARKS, true, None),
            ("line break", "a,b\n\"1\n2\",3\n", MARKS, true, None),
            (
                "line break where none may be",
                "a,b\n\"1\n2\",3\n",
                MARKS,
                false,
                Some(Broken(4)),
            ),
            (
                "unclosed",
                "a,b\n1,\"2\n3,4\n",
                MARKS,
                true,
                Some(Unclosed(6)),
            ),
            ("inch mark", "a,b\n1,5\" pipe\n3,4\n", MARKS, true, None),
            (
                "text after the quote on one line",
                "a,b\n\"x\"y,2\n",
                MARKS,
                true,
                None,
            ),
            (
                "swallowed rows",
                "a,b\n1,\"x\n2,\"y\"\n3,z\n",
                MARKS,
                true,
                Some(Swallowed(6)),
            ),
            ("escape", "a,b\n\"1\\\"\",2\n", ESCAPED, true, None),
            (
                "escaped end",
                "a,b\n\"1\\\",2\n",
                ESCAPED,
                true,
                Some(Unclosed(4)),
            ),
            (
                "quote in a comment",
                "a,b\n#x,\"y\n1,2\n",
                ESCAPED,
                true,
                None,
            ),
        ] {
            for chunk in 1..8 {
                assert_eq!(
                    problem(text, marks, newlines, chunk),
                    expected,
                    "{label}, {chunk}"
                );
            }
        }
    }

    #[test]
    fn positions_of_a_byte_are_found_in_any_text() {
        for byte in [b'"', 0, 0xFF, 0x80] {
            for seed in 0..64_u64 {
                let text: Vec<u8> = (0..seed)
                    .map(|place| match (place * 7 + seed * 13) % 5 {
                        0 => byte,
                        1 => byte ^ 1,
                        2 => byte ^ 0x80,
                        3 => !byte,
                        _ => b'x',
                    })
                    .collect();
                let found: Vec<usize> = Positions::new(byte, &text).collect();
                let expected: Vec<usize> = memchr::memchr_iter(byte, &text).collect();
                assert_eq!(found, expected, "{byte} {text:?}");
            }
        }
    }

    #[test]
    fn a_file_is_cut_between_records() {
        let text = "a,b\n1,\"x\ny\"\n2,\"z\"\n3,w";
        for (position, expected) in [
            (1, 4),
            (4, 4),
            (5, 12),
            (9, 12),
            (12, 12),
            (13, 18),
            (18, 18),
            (19, 21),
        ] {
            let found = record_start(text.as_bytes(), 0, position, Some(MARKS)).unwrap();
            assert_eq!(found, expected, "quotes count, {position}");
        }
        for (position, expected) in [(5, 9), (9, 9), (10, 12)] {
            let found = record_start(text.as_bytes(), 0, position, None).unwrap();
            assert_eq!(found, expected, "lines count, {position}");
        }
        let resumed = record_start(&text.as_bytes()[12..], 12, 13, Some(MARKS)).unwrap();
        assert_eq!(resumed, 18);
    }

    #[test]
    fn the_line_of_a_record_is_found() {
        let text = "# made up\na,b\n\n1,\"x\ny\"\r\n2,z\n#,\"\n3,w\n";
        for (record, line) in [
            (1, Some(2)),
            (2, Some(4)),
            (3, Some(6)),
            (4, Some(8)),
            (5, None),
        ] {
            let found = line_of_record(text.as_bytes(), record, ESCAPED).unwrap();
            assert_eq!(found, line, "{record}");
        }
    }
}
