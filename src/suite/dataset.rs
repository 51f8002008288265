//! Datasets written in Rust.

use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;

use super::{Dataset, Format, FormatOptions, Integrity, Source};

impl Dataset {
    /// Files at `path`: a file, a glob, or a folder.
    ///
    /// ```
    /// use veracity::suite::{Dataset, Format, FormatOptions};
    ///
    /// let orders = Dataset::path("orders", "data/orders.txt")
    ///     .format(Format::Csv)
    ///     .options(FormatOptions { delimiter: Some('|'), ..FormatOptions::default() })
    ///     .sensitive(["email"]);
    /// # let _: Dataset = orders.into();
    /// ```
    pub fn path(name: impl Into<String>, path: impl Into<String>) -> FileDataset {
        FileDataset {
            path: path.into(),
            format: None,
            options: FormatOptions::default(),
            // The source is put in last, when its options are known.
            rest: Dataset::new(name, Source::Sql(String::new())),
        }
    }

    /// What the query `sql` selects from the suite's other datasets.
    pub fn sql(name: impl Into<String>, sql: impl Into<String>) -> Self {
        Self::new(name, Source::Sql(sql.into()))
    }

    /// Rows in memory, all of the same schema.
    pub fn batches(name: impl Into<String>, batches: Vec<RecordBatch>) -> Self {
        Self::new(name, Source::Batches(batches))
    }

    /// Any DataFusion table.
    pub fn table(name: impl Into<String>, table: Arc<dyn TableProvider>) -> Self {
        Self::new(name, Source::Table(table))
    }

    fn new(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            source,
            timezone: None,
            integrity: Integrity::default(),
            sensitive: Vec::new(),
            location: None,
        }
    }

    /// Sets the zone of timestamps without one: `Europe/Amsterdam` or `+02:00`.
    #[must_use]
    pub fn timezone(mut self, zone: impl Into<String>) -> Self {
        self.timezone = Some(zone.into());
        self
    }

    /// Adds columns whose values are masked in every output.
    #[must_use]
    pub fn sensitive<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.sensitive.extend(columns.into_iter().map(Into::into));
        self
    }

    /// Sets how much of a file has to be read before it counts as verified.
    #[must_use]
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.integrity = integrity;
        self
    }
}

/// A [`Dataset`] of files, which alone have a format and options.
#[derive(Debug, Clone)]
#[must_use = "add it to a suite"]
pub struct FileDataset {
    path: String,
    format: Option<Format>,
    options: FormatOptions,
    rest: Dataset,
}

impl FileDataset {
    /// Sets how the files are written, if their extension does not say so.
    pub fn format(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Sets the options of the reader.
    pub fn options(mut self, options: FormatOptions) -> Self {
        self.options = options;
        self
    }

    /// As [`Dataset::timezone`].
    pub fn timezone(mut self, zone: impl Into<String>) -> Self {
        self.rest = self.rest.timezone(zone);
        self
    }

    /// As [`Dataset::sensitive`].
    pub fn sensitive<C: Into<String>>(mut self, columns: impl IntoIterator<Item = C>) -> Self {
        self.rest = self.rest.sensitive(columns);
        self
    }

    /// As [`Dataset::integrity`].
    pub fn integrity(mut self, integrity: Integrity) -> Self {
        self.rest = self.rest.integrity(integrity);
        self
    }
}

impl From<FileDataset> for Dataset {
    fn from(files: FileDataset) -> Self {
        let FileDataset {
            path,
            format,
            options,
            rest,
        } = files;
        Self {
            source: Source::Path {
                path,
                format,
                options,
            },
            ..rest
        }
    }
}
