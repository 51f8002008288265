//! TPC-H lineitem, scale factor 1, as one Parquet file.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Date32Array, Decimal128Array, Int32Array, Int64Array, StringArray,
};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::basic::Compression;
use datafusion::parquet::file::properties::WriterProperties;
use tpchgen::decimal::TPCHDecimal;
use tpchgen::generators::{LineItem, LineItemGenerator};

const SCALE_FACTOR: f64 = 1.0;
/// So large that there are 53 row groups, as the TPC-H generator of DataFusion makes them.
const ROW_GROUP_ROWS: usize = 113_232;
const BATCH_ROWS: usize = 8192;

/// The folder of the data, which is generated if it is not there.
pub fn folder() -> Result<PathBuf, Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench-data");
    let path = folder.join("lineitem.parquet");
    if !path.exists() {
        std::fs::create_dir_all(&folder)?;
        let unfinished = folder.join("lineitem.parquet.unfinished");
        write(&unfinished)?;
        std::fs::rename(unfinished, path)?;
    }
    Ok(folder)
}

fn write(path: &Path) -> Result<(), Box<dyn Error>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::SNAPPY)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let schema = batch(&[])?.schema();
    let mut writer = ArrowWriter::try_new(File::create(path)?, schema, Some(properties))?;
    let mut items = LineItemGenerator::new(SCALE_FACTOR, 1, 1).iter();
    loop {
        let rows: Vec<LineItem<'_>> = items.by_ref().take(BATCH_ROWS).collect();
        if rows.is_empty() {
            break;
        }
        writer.write(&batch(&rows)?)?;
    }
    writer.close()?;
    Ok(())
}

fn batch(rows: &[LineItem<'_>]) -> Result<RecordBatch, Box<dyn Error>> {
    let columns: [(&str, ArrayRef); 16] = [
        ("l_orderkey", integers(rows, |row| row.l_orderkey)),
        ("l_partkey", integers(rows, |row| row.l_partkey)),
        ("l_suppkey", integers(rows, |row| row.l_suppkey)),
        ("l_linenumber", {
            let numbers = rows.iter().map(|row| row.l_linenumber);
            Arc::new(Int32Array::from_iter_values(numbers))
        }),
        (
            "l_quantity",
            decimals(rows, |row| TPCHDecimal::new(row.l_quantity * 100))?,
        ),
        (
            "l_extendedprice",
            decimals(rows, |row| row.l_extendedprice)?,
        ),
        ("l_discount", decimals(rows, |row| row.l_discount)?),
        ("l_tax", decimals(rows, |row| row.l_tax)?),
        ("l_returnflag", texts(rows, |row| row.l_returnflag)),
        ("l_linestatus", texts(rows, |row| row.l_linestatus)),
        (
            "l_shipdate",
            dates(rows, |row| row.l_shipdate.to_unix_epoch()),
        ),
        (
            "l_commitdate",
            dates(rows, |row| row.l_commitdate.to_unix_epoch()),
        ),
        (
            "l_receiptdate",
            dates(rows, |row| row.l_receiptdate.to_unix_epoch()),
        ),
        ("l_shipinstruct", texts(rows, |row| row.l_shipinstruct)),
        ("l_shipmode", texts(rows, |row| row.l_shipmode)),
        ("l_comment", texts(rows, |row| row.l_comment)),
    ];
    let columns = columns.map(|(name, column)| (name, column, false));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

type Rows<'a> = [LineItem<'a>];

fn integers<'a>(rows: &Rows<'a>, of: fn(&LineItem<'a>) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
}

fn dates<'a>(rows: &Rows<'a>, of: fn(&LineItem<'a>) -> i32) -> ArrayRef {
    Arc::new(Date32Array::from_iter_values(rows.iter().map(of)))
}

fn texts<'a>(rows: &Rows<'a>, of: fn(&LineItem<'a>) -> &'a str) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
}

fn decimals<'a>(
    rows: &Rows<'a>,
    of: fn(&LineItem<'a>) -> TPCHDecimal,
) -> Result<ArrayRef, Box<dyn Error>> {
    let values = rows.iter().map(|row| i128::from(of(row).into_inner()));
    let values = Decimal128Array::from_iter_values(values).with_precision_and_scale(15, 2)?;
    Ok(Arc::new(values))
}
