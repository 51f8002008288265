//! What the predicates over text have in common.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayAccessor, ArrayRef, AsArray, BooleanArray};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, internal_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};

/// A predicate that looks at one text.
#[derive(Debug)]
pub(super) struct TextPredicate {
    name: &'static str,
    test: fn(&str) -> bool,
    signature: Signature,
}

impl TextPredicate {
    pub(super) fn new(name: &'static str, test: fn(&str) -> bool) -> Self {
        Self {
            name,
            test,
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl PartialEq for TextPredicate {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for TextPredicate {}

impl Hash for TextPredicate {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for TextPredicate {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        match arg_types {
            [arg] => Ok(vec![text_type(self.name, arg)?]),
            _ => plan_err!("`{}` takes 1 argument, not {}", self.name, arg_types.len()),
        }
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        test_each(&args.args[0], self.test)
    }
}

/// The type in which a text argument is read.
pub(super) fn text_type(name: &str, arg: &DataType) -> Result<DataType> {
    match arg {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Ok(arg.clone()),
        DataType::Null => Ok(DataType::Utf8),
        DataType::Dictionary(_, values) => text_type(name, values),
        other => plan_err!("`{name}` needs text, not {other}"),
    }
}

/// The text of a literal; `None` for NULL.
pub(super) fn literal(value: &ColumnarValue) -> Option<Option<&str>> {
    match value {
        ColumnarValue::Scalar(scalar) => Some(scalar.try_as_str().flatten()),
        ColumnarValue::Array(_) => None,
    }
}

/// Unknown, for a column of any length.
pub(super) fn unknown() -> ColumnarValue {
    ColumnarValue::Scalar(ScalarValue::Boolean(None))
}

/// Whether each text passes `test`; NULL for NULL.
pub(super) fn test_each(
    texts: &ColumnarValue,
    test: impl Fn(&str) -> bool,
) -> Result<ColumnarValue> {
    Ok(match texts {
        ColumnarValue::Scalar(scalar) => {
            let text = scalar.try_as_str().flatten();
            ColumnarValue::Scalar(ScalarValue::Boolean(text.map(test)))
        }
        ColumnarValue::Array(array) => {
            let passed: ArrayRef = Arc::new(match array.data_type() {
                DataType::Utf8 => test_array(array.as_string::<i32>(), test),
                DataType::LargeUtf8 => test_array(array.as_string::<i64>(), test),
                DataType::Utf8View => test_array(array.as_string_view(), test),
                other => return internal_err!("text of type {other}"),
            });
            ColumnarValue::Array(passed)
        }
    })
}

fn test_array<'a>(
    texts: impl ArrayAccessor<Item = &'a str>,
    test: impl Fn(&str) -> bool,
) -> BooleanArray {
    let passed = BooleanBuffer::collect_bool(texts.len(), |row| {
        texts.is_valid(row) && test(texts.value(row))
    });
    BooleanArray::new(passed, texts.nulls().cloned())
}
