//! A file to which whole lines are appended, and which does not grow for ever.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// A file of lines. Several processes may append to it.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    max_bytes: u64,
    file: Option<File>,
    /// The last line was written in part only.
    torn: bool,
}

impl Journal {
    /// The file at `path`, which is moved to `path.1` before it would be larger than
    /// `max_bytes`. Nothing is opened yet.
    pub(crate) fn new(path: PathBuf, max_bytes: u64) -> Self {
        Self {
            path,
            max_bytes,
            file: None,
            torn: false,
        }
    }

    /// Opens the file, and makes it and its folders if they are missing.
    pub(crate) fn open(&mut self) -> io::Result<&mut File> {
        if let Some(file) = &self.file
            && !is_at(file, &self.path)
        {
            // Somebody moved it away, as programs that rotate logs do.
            self.file = None;
        }
        match &mut self.file {
            Some(file) => Ok(file),
            none => {
                let file = none.insert(open(&self.path)?);
                self.torn = false;
                Ok(file)
            }
        }
    }

    /// Appends `lines`, in one piece. What cannot be moved away is appended to all the same;
    /// then the answer says why.
    pub(crate) fn append(&mut self, lines: &[u8]) -> io::Result<Option<io::Error>> {
        let most = self.max_bytes;
        let metadata = self.open()?.metadata()?;
        let full = metadata.is_file()
            && metadata.len() > 0
            && metadata.len().saturating_add(lines.len() as u64) > most;
        let unmoved = match full {
            true => self.rotate().err(),
            false => None,
        };
        self.open()?;
        if let Some(file) = &mut self.file {
            write_whole(file, lines, &mut self.torn)?;
        }
        Ok(unmoved)
    }

    /// Moves the file away. Of several processes that find it full, one does.
    fn rotate(&mut self) -> io::Result<()> {
        // Not what is at the path by now: another process may have moved it away.
        let Some(file) = self.file.as_ref().map(File::try_clone).transpose()? else {
            return Ok(());
        };
        if file.try_lock().is_err() {
            // Another process is about to, or locks are not to be had here.
            return Ok(());
        }
        let moved = match is_at(&file, &self.path) {
            true => move_away(&self.path),
            false => Ok(()),
        };
        // With both goes the lock.
        self.file = None;
        moved
    }
}

/// A link stays, what it points to is moved.
fn move_away(path: &Path) -> io::Result<()> {
    let whole = fs::canonicalize(path)?;
    let mut old = OsString::from(&whole);
    old.push(".1");
    fs::rename(&whole, old)
}

/// Writes `lines` in one piece, if `out` takes it so. If it takes a part only, the last line is
/// `torn`, and the next ones begin with a line break.
fn write_whole(out: &mut impl Write, lines: &[u8], torn: &mut bool) -> io::Result<()> {
    let repaired: Vec<u8>;
    let lines = match torn {
        true => {
            repaired = [b"\n", lines].concat();
            &repaired
        }
        false => lines,
    };
    let mut left = lines;
    while !left.is_empty() {
        match out.write(left) {
            Ok(count) if count > 0 => {
                left = left.get(count..).unwrap_or_default();
                *torn = lines[lines.len() - left.len() - 1] != b'\n';
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Ok(_) => return Err(ErrorKind::WriteZero.into()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether `file` is what is at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(there)) => is_same(&open, &there),
        _ => false,
    }
}

#[cfg(unix)]
fn is_same(one: &Metadata, other: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same(_: &Metadata, _: &Metadata) -> bool {
    true
}

fn open(path: &Path) -> io::Result<File> {
    match fs::metadata(path) {
        Ok(there) => refuse(&there)?,
        Err(_) => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)?;
            }
        }
    }
    OpenOptions::new().append(true).create(true).open(path)
}

/// What nothing can be appended to, or only while somebody reads.
fn refuse(there: &Metadata) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if there.file_type().is_fifo() || there.file_type().is_socket() {
            let message = "it is a named pipe or a socket, a file is wanted";
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
    }
    match there.is_dir() {
        true => Err(ErrorKind::IsADirectory.into()),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes in all.
    struct Room {
        left: usize,
        taken: Vec<u8>,
    }

    impl Write for Room {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(self.left);
            if count == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.left -= count;
            self.taken.extend_from_slice(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_that_was_torn_does_not_spoil_the_next_one() {
        let cases = [
            ("nothing was written", 0, "next\n"),
            ("a part of a line", 2, "on\nnext\n"),
            ("a whole line", 4, "one\nnext\n"),
            ("a line and a part", 6, "one\ntw\nnext\n"),
        ];
        for (label, left, expected) in cases {
            let taken = Vec::new();
            let (mut room, mut torn) = (Room { left, taken }, false);
            let error = write_whole(&mut room, b"one\ntwo\n", &mut torn).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StorageFull, "{label}");
            // Still no room, and then there is.
            write_whole(&mut room, b"lost\n", &mut torn).unwrap_err();
            room.left = 100;
            write_whole(&mut room, b"next\n", &mut torn).unwrap();
            assert_eq!(room.taken, expected.as_bytes(), "{label}");
            assert!(!torn, "{label}");
        }
    }
}
