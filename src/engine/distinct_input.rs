//! Predicates over one text column, evaluated once per distinct text.
//!
//! A regular expression over six million rows of seven ship modes is a question about
//! seven texts. Parquet's dictionary pages give equal rows equal views, so telling them
//! apart costs less than any predicate; where a batch has many texts, rows are evaluated
//! as they are.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, StringViewArray, UInt32Array, new_null_array,
};
use datafusion::arrow::compute::{cast, take};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::common::{HashMap, Result, internal_datafusion_err};
use datafusion::logical_expr::{ColumnarValue, Operator};
use datafusion::physical_expr::expressions::{BinaryExpr, CaseExpr, Column, InListExpr, LikeExpr};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{PhysicalExpr, ScalarFunctionExpr};

/// Most distinct texts of a batch for which the detour is taken.
const MOST_DISTINCT: usize = 512;
/// Slots of the table that tells them apart; a power of two.
const SLOTS: usize = 2048;
/// After this many batches with too many texts, only one in `RETRY` is tried.
const GIVE_UP: u32 = 4;
const RETRY: u32 = 64;

/// Wraps the dear parts of `expr` that depend on one text column alone.
pub fn over_distinct_inputs(
    expr: Arc<dyn PhysicalExpr>,
    schema: &Schema,
) -> Result<Arc<dyn PhysicalExpr>> {
    expr.transform_down(|node| match text_column(&node, schema) {
        Some(column) if is_dear(&node) => {
            let wrapped = OverDistinct::new(node, &column, schema)?;
            Ok(Transformed::new(
                Arc::new(wrapped) as _,
                true,
                TreeNodeRecursion::Jump,
            ))
        }
        _ => Ok(Transformed::no(node)),
    })
    .map(|transformed| transformed.data)
}

fn text_column(expr: &Arc<dyn PhysicalExpr>, schema: &Schema) -> Option<Column> {
    let mut columns = collect_columns(expr).into_iter();
    let (column, None) = (columns.next()?, columns.next()) else {
        return None;
    };
    let is_text = match schema.fields().get(column.index())?.data_type() {
        DataType::Dictionary(_, values) => values.is_string(),
        other => other.is_string(),
    };
    is_text.then_some(column)
}

fn is_dear(expr: &Arc<dyn PhysicalExpr>) -> bool {
    let mut dear = false;
    // The closure never fails.
    let _ = expr.apply(|node| {
        let regex = node.downcast_ref::<BinaryExpr>().is_some_and(|binary| {
            matches!(
                binary.op(),
                Operator::RegexMatch
                    | Operator::RegexIMatch
                    | Operator::RegexNotMatch
                    | Operator::RegexNotIMatch
            )
        });
        dear = regex
            || node.is::<InListExpr>()
            || node.is::<LikeExpr>()
            || node.is::<CaseExpr>()
            || node.is::<ScalarFunctionExpr>();
        Ok(if dear {
            TreeNodeRecursion::Stop
        } else {
            TreeNodeRecursion::Continue
        })
    });
    dear
}

#[derive(Debug)]
struct OverDistinct {
    /// The column of texts. It is the only child: those who rearrange the input find it.
    column: Arc<dyn PhysicalExpr>,
    /// The expression over a table of that column alone.
    alone: Arc<dyn PhysicalExpr>,
    alone_schema: SchemaRef,
    refused: AtomicU32,
}

impl OverDistinct {
    fn new(original: Arc<dyn PhysicalExpr>, column: &Column, schema: &Schema) -> Result<Self> {
        let name = column.name();
        let alone = original
            .transform_up(|node| {
                Ok(if node.is::<Column>() {
                    Transformed::yes(Arc::new(Column::new(name, 0)) as _)
                } else {
                    Transformed::no(node)
                })
            })?
            .data;
        let field = schema.field(column.index());
        let alone_schema = Schema::new(vec![Field::new(name, field.data_type().clone(), true)]);
        Ok(Self {
            column: Arc::new(column.clone()),
            alone,
            alone_schema: Arc::new(alone_schema),
            refused: AtomicU32::new(0),
        })
    }

    fn evaluate_distinct(&self, values: ArrayRef) -> Result<ArrayRef> {
        let rows = values.len();
        let batch = RecordBatch::try_new(Arc::clone(&self.alone_schema), vec![values])?;
        self.alone.evaluate(&batch)?.into_array(rows)
    }

    fn worth_trying(&self) -> bool {
        let refused = self.refused.load(Ordering::Relaxed);
        if refused < GIVE_UP {
            return true;
        }
        self.refused
            .store(refused.wrapping_add(1).max(GIVE_UP), Ordering::Relaxed);
        refused.is_multiple_of(RETRY)
    }
}

impl PhysicalExpr for OverDistinct {
    fn data_type(&self, _: &Schema) -> Result<DataType> {
        self.alone.data_type(&self.alone_schema)
    }

    fn nullable(&self, _: &Schema) -> Result<bool> {
        self.alone.nullable(&self.alone_schema)
    }

    fn evaluate(&self, batch: &RecordBatch) -> Result<ColumnarValue> {
        let array = &self.column.evaluate(batch)?.into_array(batch.num_rows())?;
        let row_by_row = || {
            self.evaluate_distinct(Arc::clone(array))
                .map(ColumnarValue::Array)
        };
        if let Some(dictionary) = array.as_any_dictionary_opt()
            && dictionary.values().len() <= array.len()
        {
            let keys = cast(dictionary.keys(), &DataType::UInt32)?;
            let data_type = self.alone_schema.field(0).data_type();
            let values = cast(dictionary.values(), data_type)?;
            if dictionary.keys().null_count() == 0 {
                let results = self.evaluate_distinct(values)?;
                return Ok(ColumnarValue::Array(take(&results, &keys, None)?));
            }
        }
        if !self.worth_trying() {
            return row_by_row();
        }
        let distinct = match array.data_type() {
            DataType::Utf8View => distinct_views(array.as_string_view()),
            DataType::Utf8 => distinct_texts(array.as_string::<i32>().iter()),
            DataType::LargeUtf8 => distinct_texts(array.as_string::<i64>().iter()),
            _ => None,
        };
        let Some(Distinct { rows, keys }) = distinct else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return row_by_row();
        };
        self.refused.store(0, Ordering::Relaxed);
        let values = if rows.is_empty() {
            new_null_array(array.data_type(), 0)
        } else {
            take(array, &UInt32Array::from(rows), None)?
        };
        let results = self.evaluate_distinct(values)?;
        let keys = UInt32Array::from(keys);
        Ok(ColumnarValue::Array(take(&results, &keys, None)?))
    }

    fn children(&self) -> Vec<&Arc<dyn PhysicalExpr>> {
        vec![&self.column]
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn PhysicalExpr>>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        let [column] = <[_; 1]>::try_from(children)
            .map_err(|_| internal_datafusion_err!("a predicate over one column has one child"))?;
        Ok(Arc::new(Self {
            column,
            alone: Arc::clone(&self.alone),
            alone_schema: Arc::clone(&self.alone_schema),
            refused: AtomicU32::new(0),
        }))
    }

    fn fmt_sql(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.alone.fmt_sql(f)
    }
}

impl fmt::Display for OverDistinct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "per distinct text: {}", self.alone)
    }
}

impl PartialEq for OverDistinct {
    fn eq(&self, other: &Self) -> bool {
        self.column.eq(&other.column) && self.alone.eq(&other.alone)
    }
}

impl Eq for OverDistinct {}

impl Hash for OverDistinct {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.column.hash(state);
        self.alone.hash(state);
    }
}

/// One row of each distinct text, and for every row which of these it equals.
struct Distinct {
    rows: Vec<u32>,
    keys: Vec<u32>,
}

const FREE: u32 = u32::MAX;

/// Tells rows apart by their views: equal views are equal texts. Equal texts may have
/// different views, which costs time and no truth.
///
/// Looking at the text of the row before first would be a branch that nobody can predict
/// where texts are few and mixed: it doubled the time.
fn distinct_views(array: &StringViewArray) -> Option<Distinct> {
    let views = array.views();
    let mut table = vec![(0_u128, FREE); SLOTS];
    let mut rows: Vec<u32> = Vec::new();
    let mut keys = Vec::with_capacity(views.len());
    let mut null_key = FREE;
    for (row, &view) in views.iter().enumerate() {
        if array.is_null(row) {
            if null_key == FREE {
                null_key = rows.len() as u32;
                rows.push(row as u32);
            }
            keys.push(null_key);
            continue;
        }
        let mut slot = hash(view);
        let key = loop {
            let (known, key) = table[slot];
            if key == FREE {
                if rows.len() == MOST_DISTINCT {
                    return None;
                }
                let key = rows.len() as u32;
                table[slot] = (view, key);
                rows.push(row as u32);
                break key;
            }
            if known == view {
                break key;
            }
            slot = (slot + 1) % SLOTS;
        };
        keys.push(key);
    }
    Some(Distinct { rows, keys })
}

fn hash(view: u128) -> usize {
    let folded = (view as u64) ^ ((view >> 64) as u64).rotate_left(29);
    (folded.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 53) as usize % SLOTS
}

fn distinct_texts<'a>(texts: impl Iterator<Item = Option<&'a str>>) -> Option<Distinct> {
    let mut table: HashMap<Option<&str>, u32> = HashMap::new();
    let mut rows = Vec::new();
    let mut keys = Vec::new();
    for (row, text) in texts.enumerate() {
        let next = rows.len() as u32;
        let key = *table.entry(text).or_insert(next);
        if key == next {
            if rows.len() == MOST_DISTINCT {
                return None;
            }
            rows.push(row as u32);
        }
        keys.push(key);
    }
    Some(Distinct { rows, keys })
}
