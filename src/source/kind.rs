//! How files are written: from their names and the options.

use std::collections::BTreeMap;

use datafusion::common::parsers::CompressionTypeVariant;
use datafusion::datasource::file_format::file_compression_type::FileCompressionType;

use super::locate::{Files, Located};
use crate::error::{Error, Result, listed};
use crate::suite::{Format, FormatOptions};

const KNOWN: &str = "`.parquet`, `.pq`, `.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson`, `.arrow`, `.ipc`, `.feather`, \
                     and `.csv`, `.tsv`, `.json`, `.jsonl`, `.ndjson` with `.gz`, `.bz2`, `.xz` or `.zst`";

/// What the name of a file tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Parquet,
    Csv,
    Tsv,
    Json,
    Arrow,
}

impl Kind {
    fn format(self) -> Format {
        match self {
            Kind::Parquet => Format::Parquet,
            Kind::Csv | Kind::Tsv => Format::Csv,
            Kind::Json => Format::Json,
            Kind::Arrow => Format::Arrow,
        }
    }
}

/// The files of a dataset and how they are written.
pub(super) struct Written {
    pub format: Format,
    /// The delimiter that the extension stands for.
    pub delimiter: u8,
    pub files: Vec<Located>,
    /// How each file is compressed.
    pub compression: Vec<FileCompressionType>,
}

/// How `files` are written: as `format` and `options` say, else as their names say.
pub(super) fn written(
    files: Files,
    format: Option<Format>,
    options: &FormatOptions,
) -> Result<Written> {
    let (format, delimiter, files) = match format {
        Some(format) => {
            let (delimiter, files) = of_format(files, format);
            (format, delimiter, files)
        }
        None => {
            let kind = only_kind(&files)?;
            (kind.format(), delimiter(kind), files.files)
        }
    };
    refuse_foreign(format, options)?;
    let given = options
        .compression
        .as_deref()
        .map(compression_named)
        .transpose()?;
    let compression = files
        .iter()
        .map(|file| {
            let named = split_extension(&file.shown).1;
            match format {
                Format::Csv | Format::Json => Ok(given.unwrap_or(named)),
                _ if named.is_compressed() => Err(Error::source(format!(
                    "`{}` is a compressed {} file; only CSV and JSON are read compressed, decompress it",
                    file.shown,
                    name(format)
                ))),
                _ => Ok(FileCompressionType::UNCOMPRESSED),
            }
        })
        .collect::<Result<_>>()?;
    Ok(Written {
        format,
        delimiter,
        files,
        compression,
    })
}

/// The name of `format` in messages.
pub(super) fn name(format: Format) -> &'static str {
    match format {
        Format::Parquet => "Parquet",
        Format::Csv => "CSV",
        Format::Json => "JSON",
        Format::Arrow => "Arrow",
    }
}

fn delimiter(kind: Kind) -> u8 {
    if kind == Kind::Tsv { b'\t' } else { b',' }
}

/// Those of `files` that are named as `format` is, all of them if none is.
fn of_format(files: Files, format: Format) -> (u8, Vec<Located>) {
    let kinds: Vec<Option<Kind>> = files.files.iter().map(|file| kind(&file.shown)).collect();
    let is_meant = |kind: &Option<Kind>| kind.is_some_and(|kind| kind.format() == format);
    let meant = kinds.iter().filter(|kind| is_meant(kind)).count();
    let tabs = meant > 0
        && kinds
            .iter()
            .filter(|kind| **kind == Some(Kind::Tsv))
            .count()
            == meant;
    let delimiter = delimiter(if tabs { Kind::Tsv } else { Kind::Csv });
    if meant == 0 || !files.found {
        return (delimiter, files.files);
    }
    let files = files.files.into_iter().zip(kinds);
    let files = files
        .filter(|(_, kind)| is_meant(kind))
        .map(|(file, _)| file);
    (delimiter, files.collect())
}

fn only_kind(files: &Files) -> Result<Kind> {
    let mut kinds: BTreeMap<Option<Kind>, &str> = BTreeMap::new();
    for file in &files.files {
        kinds.entry(kind(&file.shown)).or_insert(&file.shown);
    }
    match kinds.into_iter().collect::<Vec<_>>().as_slice() {
        [(Some(kind), _)] => Ok(*kind),
        [(None, file)] => Err(Error::source(format!(
            "the format of `{file}` cannot be told from its name; give `format:`, or use one of {KNOWN}"
        ))),
        several => {
            let examples = listed(several.iter().map(|(_, file)| *file));
            Err(Error::source(format!(
                "`{}` has files of different formats, such as {examples}; give `format:` or a glob",
                files.shown
            )))
        }
    }
}

fn kind(path: &str) -> Option<Kind> {
    match split_extension(path).0.as_str() {
        "parquet" | "pq" => Some(Kind::Parquet),
        "csv" => Some(Kind::Csv),
        "tsv" => Some(Kind::Tsv),
        "json" | "jsonl" | "ndjson" => Some(Kind::Json),
        "arrow" | "ipc" | "feather" => Some(Kind::Arrow),
        _ => None,
    }
}

/// The extension of `path` in lower case without that of its compression, and the compression.
fn split_extension(path: &str) -> (String, FileCompressionType) {
    let name = path.rsplit('/').next().unwrap_or(path).to_lowercase();
    let mut parts = name.rsplit('.').peekable();
    let compression = match parts.peek() {
        Some(&"gz") => FileCompressionType::GZIP,
        Some(&"bz2") => FileCompressionType::BZIP2,
        Some(&"xz") => FileCompressionType::XZ,
        Some(&"zst") => FileCompressionType::ZSTD,
        _ => FileCompressionType::UNCOMPRESSED,
    };
    if compression.is_compressed() {
        parts.next();
    }
    let extension = parts.next().unwrap_or_default();
    // A name without a dot has no extension.
    let extension = if parts.next().is_some() {
        extension
    } else {
        ""
    };
    (extension.to_owned(), compression)
}

fn compression_named(name: &str) -> Result<FileCompressionType> {
    let variant = match name {
        "gzip" => CompressionTypeVariant::GZIP,
        "bzip2" => CompressionTypeVariant::BZIP2,
        "xz" => CompressionTypeVariant::XZ,
        "zstd" => CompressionTypeVariant::ZSTD,
        "none" => CompressionTypeVariant::UNCOMPRESSED,
        _ => {
            let names = ["gzip", "bzip2", "xz", "zstd", "none"];
            return Err(Error::source(format!(
                "unknown compression `{name}`{}; there are {}",
                crate::error::did_you_mean(name, names),
                listed(names)
            )));
        }
    };
    Ok(variant.into())
}

/// Refuses the options that `format` does not know.
fn refuse_foreign(format: Format, options: &FormatOptions) -> Result<()> {
    let csv = [
        ("header", options.header.is_some()),
        ("delimiter", options.delimiter.is_some()),
        ("quote", options.quote.is_some()),
        ("escape", options.escape.is_some()),
        ("comment", options.comment.is_some()),
        ("null_values", options.null_values.is_some()),
        ("newlines_in_values", options.newlines_in_values.is_some()),
    ];
    let text = [
        ("infer_rows", options.infer_rows.is_some()),
        ("types", options.types.is_some()),
        ("compression", options.compression.is_some()),
    ];
    let foreign: Vec<&str> = match format {
        Format::Csv => Vec::new(),
        Format::Json => given(&csv),
        Format::Parquet | Format::Arrow => [given(&csv), given(&text)].concat(),
    };
    if foreign.is_empty() {
        return Ok(());
    }
    let known = match format {
        Format::Json => "`allow_empty_file`, `compression`, `infer_rows`, `types`",
        _ => "`allow_empty_file`",
    };
    let word = if foreign.len() == 1 {
        "option"
    } else {
        "options"
    };
    Err(Error::source(format!(
        "{} files have no {word} {}; they have only {known}",
        name(format),
        listed(foreign.iter().copied())
    )))
}

fn given<'a>(options: &[(&'a str, bool)]) -> Vec<&'a str> {
    options
        .iter()
        .filter(|(_, given)| *given)
        .map(|(name, _)| *name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::FileIdentity;

    fn files(names: &[&str], found: bool) -> Files {
        let files = names
            .iter()
            .map(|name| Located {
                identity: FileIdentity {
                    path: name.into(),
                    size: 1,
                    modified: None,
                },
                shown: (*name).to_owned(),
                partitions: Vec::new(),
            })
            .collect();
        Files {
            files,
            found,
            shown: "data".to_owned(),
        }
    }

    #[test]
    fn the_name_of_a_file_tells_its_format() {
        for (name, format, delimiter, compression) in [
            (
                "a.parquet",
                Format::Parquet,
                b',',
                FileCompressionType::UNCOMPRESSED,
            ),
            (
                "a.PQ",
                Format::Parquet,
                b',',
                FileCompressionType::UNCOMPRESSED,
            ),
            (
                "a.b.csv",
                Format::Csv,
                b',',
                FileCompressionType::UNCOMPRESSED,
            ),
            (
                "a.tsv",
                Format::Csv,
                b'\t',
                FileCompressionType::UNCOMPRESSED,
            ),
            ("a.csv.gz", Format::Csv, b',', FileCompressionType::GZIP),
            ("a.csv.bz2", Format::Csv, b',', FileCompressionType::BZIP2),
            ("a.csv.xz", Format::Csv, b',', FileCompressionType::XZ),
            ("a.tsv.zst", Format::Csv, b'\t', FileCompressionType::ZSTD),
            (
                "a.ndjson",
                Format::Json,
                b',',
                FileCompressionType::UNCOMPRESSED,
            ),
            ("a.jsonl.gz", Format::Json, b',', FileCompressionType::GZIP),
            (
                "a.feather",
                Format::Arrow,
                b',',
                FileCompressionType::UNCOMPRESSED,
            ),
        ] {
            let written = written(files(&[name], false), None, &FormatOptions::default()).unwrap();
            assert_eq!(written.format, format, "{name}");
            assert_eq!(written.delimiter, delimiter, "{name}");
            assert_eq!(written.compression, [compression], "{name}");
        }
    }

    #[test]
    fn a_given_format_picks_its_files() {
        let folder = || files(&["a.csv", "b.csv.gz", "README.md"], true);
        let chosen = written(folder(), Some(Format::Csv), &FormatOptions::default()).unwrap();
        assert_eq!(chosen.files.len(), 2);
        let unnamed = files(&["part-0", "part-1"], true);
        let chosen = written(unnamed, Some(Format::Json), &FormatOptions::default()).unwrap();
        assert_eq!(chosen.files.len(), 2);
    }

    #[test]
    fn what_cannot_be_told_is_explained() {
        let none = FormatOptions::default();
        let delimiter = FormatOptions {
            delimiter: Some(';'),
            ..Default::default()
        };
        let several = FormatOptions {
            quote: Some('\''),
            infer_rows: Some(1),
            ..Default::default()
        };
        let compression = FormatOptions {
            compression: Some("gzipp".to_owned()),
            ..Default::default()
        };
        for (names, format, options, expected) in [
            (
                &["a.xlsx"][..],
                None,
                &none,
                "the format of `a.xlsx` cannot be told from its name; give `format:`, or use one of `.parquet`",
            ),
            (
                &["a.csv", "b.parquet"],
                None,
                &none,
                "`data` has files of different formats, such as `a.csv`, `b.parquet`; give `format:` or a glob",
            ),
            (
                &["a.csv", "README.md"],
                None,
                &none,
                "`data` has files of different formats, such as `README.md`, `a.csv`",
            ),
            (
                &["a.parquet"],
                None,
                &delimiter,
                "Parquet files have no option `delimiter`; they have only `allow_empty_file`",
            ),
            (
                &["a.arrow"],
                None,
                &several,
                "Arrow files have no options `infer_rows`, `quote`; they have only `allow_empty_file`",
            ),
            (
                &["a.parquet.gz"],
                None,
                &none,
                "`a.parquet.gz` is a compressed Parquet file; only CSV and JSON are read compressed",
            ),
            (
                &["a.csv"],
                None,
                &compression,
                "unknown compression `gzipp`, did you mean `gzip`?; there are `bzip2`, `gzip`",
            ),
        ] {
            let error = written(files(names, true), format, options)
                .err()
                .unwrap()
                .to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
