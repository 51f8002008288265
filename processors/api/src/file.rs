//! Files that are whole or not there.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::ProcessorError;

/// Writes `bytes` to the file at `path`, which is replaced as a whole: who reads it sees
/// the old file or the new one, and a full disk or a crash leaves the old one. A file that
/// exists keeps its permissions, and a symbolic link stays: what it points to is replaced.
/// Devices and named pipes are written to. Missing folders are made. `-` is standard
/// output.
///
/// # Errors
///
/// Why it cannot be written; a full disk is retryable, and so is a named pipe that nobody
/// reads; what somebody has to change is not.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), ProcessorError> {
    let written = match path.to_str() {
        // On Unix these are links, perhaps to a regular file, which must not be replaced
        // under the stream that writes to it.
        Some("-" | "/dev/stdout") => print(&mut io::stdout().lock(), bytes),
        Some("/dev/stderr") => print(&mut io::stderr().lock(), bytes),
        _ => write(path, bytes),
    };
    written.map_err(|error| {
        let message = format!("`{}` cannot be written: {error}", path.display());
        match error.kind() {
            ErrorKind::PermissionDenied
            | ErrorKind::NotADirectory
            | ErrorKind::IsADirectory
            | ErrorKind::ReadOnlyFilesystem
            | ErrorKind::InvalidInput
            | ErrorKind::InvalidFilename
            | ErrorKind::BrokenPipe => ProcessorError::permanent(message),
            _ => ProcessorError::retryable(message),
        }
    })
}

fn print(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    out.write_all(bytes)?;
    out.flush()
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(old) if old.is_dir() => Err(ErrorKind::IsADirectory.into()),
        Ok(old) if old.is_file() => replace(&pointed_to(path)?, bytes, Some(&old)),
        Ok(_) => special::write(path, bytes),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            replace(&pointed_to(path)?, bytes, None)
        }
        Err(error) => Err(error),
    }
}

/// The path that `path` leads to if it is a symbolic link; nothing need be there.
fn pointed_to(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    // As many as Linux follows.
    for _ in 0..40 {
        match fs::read_link(&path) {
            Ok(target) => path = path.with_file_name("").join(target),
            Err(_) => return Ok(path),
        }
    }
    let message = "its symbolic links lead nowhere";
    Err(io::Error::new(ErrorKind::InvalidInput, message))
}

fn replace(path: &Path, bytes: &[u8], old: Option<&Metadata>) -> io::Result<()> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(ErrorKind::IsADirectory.into());
    }
    // Two who write the same file must not write the same part.
    name.push(format!(".{}.part", uuid::Uuid::now_v7().simple()));
    let part = path.with_file_name(name);
    let write = || {
        let mut file = create(&part, old)?;
        file.write_all(bytes)?;
        if let Some(old) = old {
            file.set_permissions(old.permissions())?;
        }
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().inspect_err(|_| {
        // What is left of it helps nobody.
        let _ = fs::remove_file(&part);
    })
}

/// A new file at `path` that shall take the place of `old`: nobody who could not read that
/// can read this, and whose it was it stays, if that is allowed.
fn create(path: &Path, old: Option<&Metadata>) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if let Some(old) = old {
        use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
        let file = options.mode(0o600).open(path)?;
        let new = file.metadata()?;
        if (new.uid(), new.gid()) != (old.uid(), old.gid()) {
            // Only root may give files away.
            let _ = fchown(&file, Some(old.uid()), Some(old.gid()));
        }
        return Ok(file);
    }
    #[cfg(not(unix))]
    let _ = old;
    options.open(path)
}

/// What has a name like a file and is none: it can be written to, but not be replaced.
#[cfg(unix)]
mod special {
    use std::fs::{self, OpenOptions};
    use std::io::{self, ErrorKind, Write};
    use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
    use std::path::Path;
    use std::thread;
    use std::time::{Duration, Instant};

    /// How long a named pipe or a terminal may take nothing.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        let kind = fs::metadata(path)?.file_type();
        if kind.is_socket() {
            let message = "it is a socket; a file, a device or a named pipe is wanted";
            return Err(io::Error::new(ErrorKind::InvalidInput, message));
        }
        let opened = OpenOptions::new()
            .write(true)
            // A named pipe without a reader would be waited for for ever.
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open(path);
        let mut file = match opened {
            Err(error) if kind.is_fifo() && error.raw_os_error() == Some(libc::ENXIO) => {
                return Err(io::Error::other("nobody reads the named pipe"));
            }
            opened => opened?,
        };
        let (mut left, mut taken) = (bytes, Instant::now());
        while !left.is_empty() {
            match file.write(left) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    left = &left[count..];
                    taken = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error)
                    if error.kind() == ErrorKind::WouldBlock && taken.elapsed() < PATIENCE =>
                {
                    thread::sleep(Duration::from_millis(5));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// What has a name like a file and is none: it can be written to, but not be replaced.
#[cfg(not(unix))]
mod special {
    use std::fs::OpenOptions;
    use std::io::{self, Write};
    use std::path::Path;

    pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).open(path)?.write_all(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole_and_folders_are_made() {
        let folder = std::env::temp_dir().join(uuid::Uuid::now_v7().to_string());
        let path = folder.join("a/b/report.txt");
        write_file(&path, b"one").unwrap();
        write_file(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(folder.join("a/b")).unwrap().count(), 1);
        let error = write_file(&folder.join("a"), b"x").unwrap_err();
        assert!(!error.is_retryable(), "{error}");
        let error = write_file(&path.join("below a file"), b"x").unwrap_err();
        assert!(error.message().contains("cannot be written"), "{error}");
        fs::remove_dir_all(folder).unwrap();
    }
}

#[cfg(test)]
#[cfg(unix)]
mod unix_tests {
    use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::process::Command;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn a_link_stays_and_what_it_points_to_is_replaced() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("real")).unwrap();
        fs::write(at("real/report.txt"), "old").unwrap();
        symlink("real/report.txt", at("near")).unwrap();
        symlink(at("near"), at("far")).unwrap();
        symlink("real", at("folder")).unwrap();
        symlink("new/report.txt", at("dangling")).unwrap();
        let cases = [
            ("far", "real/report.txt"),
            ("near", "real/report.txt"),
            ("folder/report.txt", "real/report.txt"),
            ("dangling", "new/report.txt"),
        ];
        for (path, target) in cases {
            write_file(&at(path), path.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(at(target)).unwrap(), path);
        }
        for link in ["near", "far", "folder", "dangling"] {
            assert!(at(link).is_symlink(), "{link}");
        }
        assert_eq!(names(&at("real")), ["report.txt"]);
        assert_eq!(names(&at("new")), ["report.txt"]);
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let folder = folder();
        let path = folder.path().join("circle");
        symlink("circle", &path).unwrap();
        let error = write_file(&path, b"x").unwrap_err();
        assert!(error.message().contains("symbolic link"), "{error}");
        assert!(path.is_symlink());
    }

    #[test]
    fn a_file_keeps_its_permissions_and_a_new_one_gets_the_ordinary() {
        let folder = folder();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let path = folder.path().join("report.txt");
        for kept in [0o600, 0o640, 0o664, 0o444] {
            fs::write(&path, "old").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(kept)).unwrap();
            write_file(&path, b"new").unwrap();
            assert_eq!(mode(&path), kept, "{kept:o}");
            assert_eq!(fs::read(&path).unwrap(), b"new");
            fs::remove_file(&path).unwrap();
        }
        let ordinary = folder.path().join("ordinary");
        fs::write(&ordinary, "").unwrap();
        write_file(&path, b"new").unwrap();
        assert_eq!(mode(&path), mode(&ordinary));
    }

    #[test]
    fn who_owns_a_file_still_does_when_root_has_written_it() {
        let folder = folder();
        let path = folder.path().join("report.txt");
        fs::write(&path, "old").unwrap();
        // Only root can do this; for anybody else it is their own file, which it stays.
        let _ = std::os::unix::fs::chown(&path, Some(4242), Some(4242));
        let owner = |path: &Path| {
            fs::metadata(path)
                .map(|file| (file.uid(), file.gid()))
                .unwrap()
        };
        let before = owner(&path);
        write_file(&path, b"new").unwrap();
        assert_eq!(owner(&path), before);
    }

    #[test]
    fn a_device_is_written_to_and_stays_one() {
        write_file(Path::new("/dev/null"), b"x").unwrap();
        let folder = folder();
        let link = folder.path().join("full");
        symlink("/dev/full", &link).unwrap();
        for path in [Path::new("/dev/full"), &link] {
            // Linux has it; where it is missing, it must not be made.
            if Path::new("/dev/full").exists() {
                let error = write_file(path, b"x").unwrap_err();
                assert!(error.is_retryable(), "{error}");
                assert!(error.message().contains("cannot be written"), "{error}");
                let kind = fs::metadata(path).unwrap().file_type();
                assert!(kind.is_char_device());
            }
        }
        assert!(link.is_symlink());
        let kind = fs::metadata("/dev/null").unwrap().file_type();
        assert!(kind.is_char_device());
    }

    #[test]
    fn a_named_pipe_takes_all_of_it_and_is_not_waited_for_if_nobody_reads() {
        let folder = folder();
        let path = folder.path().join("pipe");
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let error = write_file(&path, b"x").unwrap_err();
        assert!(error.is_retryable(), "{error}");
        assert!(error.message().contains("nobody reads"), "{error}");

        // More than a pipe holds at once.
        let bytes: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let reader = Command::new("cat")
            .arg(&path)
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let reader = std::thread::spawn(move || reader.wait_with_output().unwrap().stdout);
        // Until it has been opened, nobody reads.
        let begun = std::time::Instant::now();
        while let Err(error) = write_file(&path, &bytes) {
            assert!(error.message().contains("nobody reads"), "{error}");
            assert!(begun.elapsed() < std::time::Duration::from_secs(60));
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(reader.join().unwrap() == bytes);
        assert!(fs::metadata(&path).unwrap().file_type().is_fifo());
    }

    #[test]
    fn sockets_and_directories_are_refused() {
        let folder = folder();
        let socket = folder.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let link = folder.path().join("link");
        symlink(folder.path(), &link).unwrap();
        let cases = [
            (socket.as_path(), "socket"),
            (folder.path(), "directory"),
            (&link, "directory"),
        ];
        for (path, reason) in cases {
            let error = write_file(path, b"x").unwrap_err();
            assert!(!error.is_retryable(), "{error}");
            assert!(error.message().contains(reason), "{error}");
        }
        assert_eq!(names(folder.path()), ["link", "socket"]);
    }

    #[test]
    fn when_there_is_no_room_the_old_file_stays_and_nothing_else() {
        const PATH: &str = "VERACITY_TEST_NO_ROOM";
        let report = vec![b'x'; 1 << 20];
        // In the process below, which may write but a few blocks.
        if let Some(path) = std::env::var_os(PATH) {
            let error = write_file(Path::new(&path), &report).unwrap_err();
            assert!(error.is_retryable(), "{error}");
            return;
        }
        let folder = folder();
        let path = folder.path().join("report.txt");
        fs::write(&path, "old").unwrap();
        let name = "when_there_is_no_room_the_old_file_stays_and_nothing_else";
        let limited = Command::new("sh")
            .args(["-c", r#"trap "" XFSZ; ulimit -f 8; exec "$0" "$@""#])
            .arg(std::env::current_exe().unwrap())
            .args([&format!("file::unix_tests::{name}"), "--exact"])
            .env(PATH, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&limited.stdout);
        assert!(limited.status.success(), "{said}");
        assert!(said.contains("1 passed"), "{said}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(names(folder.path()), ["report.txt"]);
    }
}
