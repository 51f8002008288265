//! `matches(c, 'regex')`.

use std::cell::RefCell;
use std::rc::Rc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_datafusion_err, plan_datafusion_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use regex::Regex;

use super::text;

/// Says why `pattern` is not a regular expression of the `regex` crate, on one line.
///
/// # Errors
///
/// A pattern that is not well formed, uses look-around or back-references, which cannot be
/// matched in linear time, or is too large when compiled.
pub fn check_regex(pattern: &str) -> Result<(), String> {
    Regex::new(pattern).map(drop).map_err(|error| match &error {
        regex::Error::CompiledTooBig(limit) => {
            format!("the regular expression needs more than {limit} bytes when compiled")
        }
        _ => one_line(&error.to_string()),
    })
}

/// `regex parse error` with its pattern and marker, reduced to the last line, which says why.
fn one_line(message: &str) -> String {
    let reason = message.lines().last().unwrap_or(message).trim();
    let reason = reason.strip_prefix("error: ").unwrap_or(reason);
    format!("not a regular expression: {reason}")
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Matches {
    signature: Signature,
}

impl Matches {
    pub(super) fn new() -> Self {
        Self {
            signature: Signature::user_defined(Volatility::Immutable),
        }
    }
}

impl ScalarUDFImpl for Matches {
    fn name(&self) -> &str {
        "matches"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let [text, pattern] = arg_types else {
            return plan_err!("`matches` takes 2 arguments, not {}", arg_types.len());
        };
        Ok(vec![
            text::text_type("matches", text)?,
            text::text_type("matches", pattern)?,
        ])
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let Some(Some(pattern)) = args.scalar_arguments.get(1) else {
            return plan_err!("the second argument of `matches` is a literal regular expression");
        };
        if let Some(pattern) = pattern.try_as_str().flatten() {
            check_regex(pattern).map_err(|error| plan_datafusion_err!("`{pattern}`: {error}"))?;
        }
        Ok(Field::new(self.name(), DataType::Boolean, true).into())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        match text::literal(&args.args[1]) {
            None => plan_err!("the second argument of `matches` is a literal regular expression"),
            Some(None) => Ok(text::unknown()),
            Some(Some(pattern)) => {
                let regex = compiled(pattern)?;
                text::test_each(&args.args[0], |text| regex.is_match(text))
            }
        }
    }
}

/// Patterns that a thread keeps.
const KEPT: usize = 64;

/// The compiled `pattern`, from what this thread has compiled before.
///
/// Threads that share one `Regex` wait for each other's scratch space, so each has its own.
fn compiled(pattern: &str) -> Result<Rc<Regex>> {
    thread_local! {
        static COMPILED: RefCell<Vec<Rc<Regex>>> = const { RefCell::new(Vec::new()) };
    }
    COMPILED.with_borrow_mut(|kept| {
        if let Some(found) = kept.iter().find(|regex| regex.as_str() == pattern) {
            return Ok(Rc::clone(found));
        }
        let regex = Regex::new(pattern).map_err(|error| {
            exec_datafusion_err!("`{pattern}`: {}", one_line(&error.to_string()))
        })?;
        if kept.len() == KEPT {
            kept.remove(0);
        }
        kept.push(Rc::new(regex));
        Ok(Rc::clone(&kept[kept.len() - 1]))
    })
}
