//! Random tables, and the ways of keeping them.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::datasource::MemTable;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::properties::WriterProperties;
use proptest::prelude::*;
use veracity::suite::Dataset;

/// The moment of all runs, in microseconds: 2024-03-01T00:00:00Z.
pub const NOW_MICROS: i64 = 1_709_251_200_000_000;

/// A row of the table under test.
#[derive(Debug, Clone)]
pub struct Row {
    pub i: Option<i64>,
    /// Hundredths.
    pub d: Option<i128>,
    pub f: Option<f64>,
    pub s: Option<&'static str>,
    pub b: Option<bool>,
    /// Microseconds.
    pub ts: Option<i64>,
    pub l: Option<Vec<Option<i64>>>,
}

/// A row that others refer to.
#[derive(Debug, Clone)]
pub struct Parent {
    pub p: Option<i64>,
    pub q: Option<&'static str>,
}

/// How a table is kept.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    /// In memory, in so many batches.
    Batches(usize),
    /// In memory, in so many partitions of two batches each.
    Partitions(usize),
    /// In a Parquet file with row groups of so many rows.
    Parquet(usize),
    /// In so many Parquet files.
    Files(usize),
}

pub fn kept() -> impl Strategy<Value = Kept> {
    prop_oneof![
        (1_usize..5).prop_map(Kept::Batches),
        (1_usize..5).prop_map(Kept::Partitions),
        (1_usize..25).prop_map(Kept::Parquet),
        (1_usize..4).prop_map(Kept::Files),
    ]
}

fn integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => -2_i64..5,
        2 => -1000_i64..1000,
        1 => prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(i64::MAX - 1)],
    ]
}

/// Rows of skewed values; NaN in one table of three.
pub fn rows() -> impl Strategy<Value = Vec<Row>> {
    (0_u32..3).prop_flat_map(|kind| {
        let nan = u32::from(kind == 0);
        let float = prop_oneof![
            6 => prop_oneof![Just(0.0), Just(-0.0), Just(0.1), Just(1.5), Just(-2.25)],
            3 => -1000.0_f64..1000.0,
            nan => Just(f64::NAN),
        ];
        let text = prop_oneof![
            Just(""),
            Just("a"),
            Just("b"),
            Just("é"),
            Just("日本語"),
            Just("a b")
        ];
        let list = prop::collection::vec(prop::option::of(0_i64..3), 0..4);
        let row = (
            prop::option::weighted(0.85, integer()),
            prop::option::weighted(
                0.85,
                prop_oneof![-3_i128..4, -9_999_999_999..9_999_999_999_i128],
            ),
            prop::option::weighted(0.85, float),
            prop::option::weighted(0.85, text),
            prop::option::weighted(0.85, any::<bool>()),
            prop::option::weighted(0.85, -10_000_000_000_i64..10_000_000_000),
            prop::option::weighted(0.85, list),
        )
            .prop_map(|(i, d, f, s, b, ts, l)| Row {
                i,
                d,
                f,
                s,
                b,
                ts: ts.map(|ts| NOW_MICROS - 5_000_000_000 + ts),
                l,
            });
        prop::collection::vec(row, 0..60)
    })
}

pub fn parents() -> impl Strategy<Value = Vec<Parent>> {
    let text = prop_oneof![Just(""), Just("a"), Just("b"), Just("日本語")];
    let parent = (
        prop::option::weighted(0.9, integer()),
        prop::option::weighted(0.9, text),
    )
        .prop_map(|(p, q)| Parent { p, q });
    prop::collection::vec(parent, 0..12)
}

pub fn batch(rows: &[Row]) -> RecordBatch {
    let i: ArrayRef = Arc::new(rows.iter().map(|row| row.i).collect::<Int64Array>());
    let d = rows.iter().map(|row| row.d).collect::<Decimal128Array>();
    let d: ArrayRef = Arc::new(d.with_precision_and_scale(12, 2).unwrap());
    let f: ArrayRef = Arc::new(rows.iter().map(|row| row.f).collect::<Float64Array>());
    let s: ArrayRef = Arc::new(rows.iter().map(|row| row.s).collect::<StringArray>());
    let b: ArrayRef = Arc::new(rows.iter().map(|row| row.b).collect::<BooleanArray>());
    let ts = rows
        .iter()
        .map(|row| row.ts)
        .collect::<TimestampMicrosecondArray>();
    let ts: ArrayRef = Arc::new(ts.with_timezone("UTC"));
    let l: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(
        rows.iter().map(|row| row.l.clone()),
    ));
    let columns = [
        ("i", i),
        ("d", d),
        ("f", f),
        ("s", s),
        ("b", b),
        ("ts", ts),
        ("l", l),
    ];
    let columns = columns.map(|(name, column)| (name, column, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

pub fn parent_batch(parents: &[Parent]) -> RecordBatch {
    let p: ArrayRef = Arc::new(
        parents
            .iter()
            .map(|parent| parent.p)
            .collect::<Int64Array>(),
    );
    let q: ArrayRef = Arc::new(
        parents
            .iter()
            .map(|parent| parent.q)
            .collect::<StringArray>(),
    );
    RecordBatch::try_from_iter_with_nullable([("p", p, true), ("q", q, true)]).unwrap()
}

/// The rows as the dataset `name`; files are written into `folder`.
pub fn dataset(name: &str, rows: &RecordBatch, kept: Kept, folder: &Path) -> Dataset {
    match kept {
        Kept::Batches(n) => Dataset::batches(name, pieces(rows, n)),
        Kept::Partitions(n) => {
            let partitions = pieces(rows, n)
                .iter()
                .map(|piece| pieces(piece, 2))
                .collect();
            let table = MemTable::try_new(rows.schema(), partitions).unwrap();
            Dataset::table(name, Arc::new(table))
        }
        Kept::Parquet(row_group) => {
            let path = folder.join(name).with_extension("parquet");
            write(&path, rows, row_group);
            Dataset::path(name, path.to_string_lossy()).into()
        }
        Kept::Files(n) => {
            let folder = folder.join(name);
            std::fs::create_dir(&folder).unwrap();
            for (number, piece) in pieces(rows, n).iter().enumerate() {
                write(&folder.join(format!("{number}.parquet")), piece, 10);
            }
            Dataset::path(name, folder.to_string_lossy()).into()
        }
    }
}

/// The rows cut into at most `n` pieces, one of them perhaps empty.
fn pieces(rows: &RecordBatch, n: usize) -> Vec<RecordBatch> {
    let size = rows.num_rows() / n + 1;
    (0..n)
        .map(|piece| {
            let start = (piece * size).min(rows.num_rows());
            rows.slice(start, size.min(rows.num_rows() - start))
        })
        .collect()
}

fn write(path: &Path, rows: &RecordBatch, row_group: usize) {
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(row_group))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows.schema(), Some(properties)).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
}
